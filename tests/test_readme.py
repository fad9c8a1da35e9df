"""The README says what is true."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from app.settings import Settings
from harness.server import Server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def settings_table() -> str:
    """The table of settings, as docs/settings.md must have it; `python -m tests.test_readme` prints it."""
    rows = ["| setting | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=False)
        if name == "threads":
            default = "the processors this process may use"
        elif default == ():
            default = "empty"
        else:
            default = f"`{','.join(default) if isinstance(default, tuple) else default}`"
        rows.append(f"| `LARDER_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_every_setting_has_its_line():
    """Names, defaults and descriptions of the settings are those of the code."""
    assert settings_table() in (ROOT / "docs/settings.md").read_text()


def test_every_file_it_names_is_there():
    """Paths in the README exist."""
    for name in re.findall(r"`((?:labels|models|samples|tests|app)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


def test_every_target_it_names_is_there():
    """`make ...` commands exist."""
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)):
        assert f"\n{target}:" in makefile


REQUESTS = re.findall(r"```\n(curl [^\n]*)\n```\n\n```json\n(.*?)```", README, re.DOTALL)


def assert_alike(answer: object, printed: object) -> None:
    """The same but for floats, which engines and processors round differently."""
    if isinstance(printed, dict):
        assert isinstance(answer, dict)
        assert list(answer) == list(printed)
        for name in printed:
            assert_alike(answer[name], printed[name])
    elif isinstance(printed, list):
        assert isinstance(answer, list)
        assert len(answer) == len(printed)
        for one, other in zip(answer, printed, strict=True):
            assert_alike(one, other)
    elif isinstance(printed, float):
        assert answer == pytest.approx(printed, abs=0.02)
    else:
        assert answer == printed


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(data=tmp_path_factory.mktemp("data")) as server:
        server.ready()
        yield server


def test_its_requests_are_answered_as_printed(server):
    """Each curl line is sent to a service started as `make run` does, and gets the JSON below it."""
    assert len(REQUESTS) >= 2
    for command, printed in REQUESTS:
        words = shlex.split(command.replace(":8000", f":{server.port}"))
        answer = subprocess.run([*words, "--silent"], cwd=ROOT, capture_output=True, check=True, timeout=60)
        assert_alike(json.loads(answer.stdout), json.loads(printed))


def test_it_is_short_and_shows_what_it_is_about():
    """At most 150 lines, with the first picture within thirty."""
    lines = README.splitlines()
    assert len(lines) <= 150
    assert any("docs/images/" in line for line in lines[:30])


if __name__ == "__main__":
    print(settings_table())
