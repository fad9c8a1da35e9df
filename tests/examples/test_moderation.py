"""The examples run as their help says, against a running service."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.server import Server

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "samples/banana.jpg"


@pytest.fixture(scope="module")
def server(new_data) -> Iterator[Server]:
    with Server(pantry="none", data=new_data(), api_keys="a-key") as running:
        running.ready()
        yield running


def moderate(server: Server, *arguments: object, key: str = "a-key") -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{server.port}"
    command = [sys.executable, "-S", "examples/moderation.py", "--url", url, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={"LARDER_API_KEY": key}, capture_output=True, text=True)


def test_moderation_prints_seven_categories_best_first(server):
    """Nine phrases in seven categories work with only Python installed."""
    run = moderate(server, PICTURE)
    assert run.returncode == 0, run.stderr
    rows = [line.split() for line in run.stdout.splitlines()]
    shares = [float(share.rstrip("%")) for share, _ in rows]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.4)
    categories = {"nudity", "art", "revealing", "weapons", "violence", "drugs", "harmless"}
    assert {category for _, category in rows} == categories
    lines = (ROOT / "labels/moderation.txt").read_text().splitlines()
    assert len([line for line in lines if "|" in line and line[0] != "#"]) == 9


def test_moderation_scores_are_the_service_s(server, tmp_path):
    """With custom phrases and independent categories, a banana is fruit and no vehicle; repetition changes nothing."""
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("# mine\n\na photo of a banana | fruit\na banana | fruit\na car | vehicle\na ship | vehicle\n")
    run = moderate(server, PICTURE, "--phrases", phrases, "--independent")
    rows = {category: float(share.rstrip("%")) for share, category in map(str.split, run.stdout.splitlines())}
    assert list(rows) == ["fruit", "vehicle"]
    assert rows["fruit"] > 80
    assert rows["vehicle"] < 20


@pytest.mark.parametrize(
    ("arguments", "key", "message"),
    [
        ((PICTURE,), "wrong", "401: an API key is needed"),
        ((ROOT / "README.md",), "a-key", "400: the bytes are not a picture"),
        (("missing.jpg",), "a-key", "missing.jpg"),
        ((PICTURE, "--url", "http://127.0.0.1:1"), "a-key", "refused"),
    ],
)
def test_moderation_says_what_went_wrong(server, arguments, key, message):
    """The error is one line on standard error, with exit status 1."""
    run = moderate(server, *arguments, key=key)
    assert run.returncode == 1
    assert message in run.stderr
    assert run.stderr.count("\n") == 1
