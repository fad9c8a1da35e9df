"""Links between pages, and the index of decisions."""

import re
import subprocess

import larder_client
import pytest

import app
from harness.server import ROOT

PAGES = sorted(path for path in ROOT.rglob("*.md") if not {".venv", "node_modules"} & set(path.parts))
DECISIONS = ROOT / "docs/decisions"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page):
    """Every link to a path in the repository exists."""
    links = re.findall(r"\]\(([^)#\s]+)", re.sub(r"`[^`\n]*`", "", page.read_text()))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_every_decision_has_a_number_a_date_a_status_and_a_row():
    """Numbers are unique, and the index agrees with the pages."""
    index, numbers = (DECISIONS / "README.md").read_text(), []
    for page in sorted(DECISIONS.glob("*.md")):
        if page.name == "README.md":
            continue
        numbers.append(page.name[:4])
        title, _, state, *_ = page.read_text().splitlines()
        assert re.match(r"\d{4}-\d\d-\d\d(, [^·]+)? · (accepted|superseded by \[\d{4}\])", state), page.name
        day, status = state.split(" · ")
        assert f"| [{page.name[:4]}]({page.name}) | {title.removeprefix('# ')} | {day} | {status} |" in index
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_every_decision_that_the_code_names_is_there():
    """Comments refer to pages by path."""
    found = subprocess.run(["git", "grep", "-ohE", r"docs/decisions/[0-9a-z-]+\.md"], cwd=ROOT, capture_output=True)
    named = set(found.stdout.decode().split())
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_architecture_page_names_files_that_are_there():
    """Each path in it exists in the repository or in app."""
    text = (ROOT / "docs/architecture.md").read_text()
    paths = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+(?:\.py|/))`", text))
    assert len(paths) > 20
    assert [path for path in sorted(paths) if not ((ROOT / path).exists() or (ROOT / "app" / path).exists())] == []


def test_the_service_and_the_client_are_of_the_changelogs_version():
    """The newest heading with a number names the version of both."""
    headings = (ROOT / "CHANGELOG.md").read_text()
    newest, *_ = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", headings, re.MULTILINE)
    assert app.__version__ == larder_client.__version__ == newest
