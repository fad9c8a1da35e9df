"""The README is correct."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from larder_client import Larder
from larder_client.command import main

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
    """All paths in the README exist."""
    for name in re.findall(r"`((?:labels|models|samples|tests|app)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


def test_every_target_it_names_is_there():
    """All `make ...` targets in the README exist."""
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)):
        assert f"\n{target}:" in makefile


REQUESTS = re.findall(r"```\n(curl [^\n]*)\n```\n\n```json\n(.*?)```", README, re.DOTALL)


def assert_alike(answer: object, printed: object) -> None:
    """Compare two values, with a tolerance for floats, which engines and processors round differently."""
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
def server(new_data):
    with Server(data=new_data()) as server:
        server.ready()
        yield server


def test_its_requests_are_answered_as_printed(server):
    """Each curl line is sent to a service started as `make run` does, and gets the JSON below it."""
    assert len(REQUESTS) >= 2
    for command, printed in REQUESTS:
        words = shlex.split(command.replace(":8000", f":{server.port}"))
        answer = subprocess.run([*words, "--silent"], cwd=ROOT, capture_output=True, check=True)
        assert_alike(json.loads(answer.stdout), json.loads(printed))


def test_its_shell_command_counts(server, tmp_path, monkeypatch):
    """The line for the command `larder` adds one of what the photo shows."""
    [line] = re.findall(r"^```\nlarder (.*)\n```", README, re.MULTILINE)
    (tmp_path / "photo.jpg").write_bytes((ROOT / "samples/lime.jpg").read_bytes())
    monkeypatch.chdir(tmp_path)
    address = f"http://127.0.0.1:{server.port}"
    monkeypatch.setenv("LARDER_URL", address)
    assert main(shlex.split(line)) == 0
    with Larder(address) as larder:
        assert larder.item("lime").count == 1


def curl_commands(page: str) -> list[str]:
    """The curl commands of a page's blocks, each of which ends where a line begins with the next word of a command."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [each for block in blocks for each in re.split(r"\n(?=\w)", block) if each.startswith("curl ")]


@pytest.mark.parametrize(("page", "count"), [("docs/teaching.md", 3), ("docs/contents.md", 8)])
def test_the_curl_commands_of_other_pages_succeed(server, tmp_path, page, count):
    """The commands run unchanged, one after the other; `JOB` is the id returned by the previous one."""
    for name, sample in (("front", "carrots"), ("back", "lime")):
        (tmp_path / f"{name}.jpg").write_bytes((ROOT / f"samples/{sample}.jpg").read_bytes())
    given = {"type": "text", "text": "an apple", "collection": "photos"}
    assert server.client.put("/contents/photos/7", json=given).is_success
    commands, job = curl_commands(page), ""
    assert len(commands) == count
    for command in commands:
        joined = command.replace("\\\n", " ").replace(":8000", f":{server.port}").replace("JOB", job)
        words = shlex.split(joined)
        ran = subprocess.run([*words, "--silent", "--fail-with-body"], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, (command, ran.stdout)
        answer = json.loads(ran.stdout) if ran.stdout else {}
        job = answer.get("job") or answer.get("id") or job


def test_it_is_short_and_shows_what_it_is_about():
    """The README has at most 150 lines, with the first picture within thirty."""
    lines = README.splitlines()
    assert len(lines) <= 150
    assert any("docs/images/" in line for line in lines[:30])


if __name__ == "__main__":
    print(settings_table())
