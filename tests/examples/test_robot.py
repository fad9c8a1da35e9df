"""The robot's loop as a process, against the real service."""

import os
import subprocess
import sys

import pytest
from larder_client import Larder

from harness.server import ROOT, Server
from tests.bundles import write_bundle
from tests.conftest import wait_until
from tests.fakes import as_bytes, picture


@pytest.fixture
def server(tmp_path):
    write_bundle(tmp_path / "tiny")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    with Server(model=tmp_path / "tiny", labels=tmp_path / "labels.txt", data=tmp_path / "data", drain=0) as server:
        server.ready()
        yield server


def run(*arguments):
    command = [sys.executable, "examples/robot.py", *map(str, arguments)]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "client")}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)


def test_what_two_frames_agree_on_is_counted_once(server, tmp_path):
    """Three red frames count once, one blue does not count, a broken one is skipped, and red later counts again."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, colour in enumerate(["red", "red", None, "red", "blue", "red", "red"]):
        data = as_bytes(picture(colour)) if colour else b"broken"
        (folder / f"{number}.png").write_bytes(data)
    url = f"http://127.0.0.1:{server.port}"
    done = run(folder, "--url", url)
    assert (done.returncode, "2.png" in done.stderr) == (0, True), done.stderr
    with Larder(url) as larder:
        assert {item.item: item.count for item in larder.items()} == {"red": 2}


def test_what_is_unsure_is_set_aside_and_a_count_undone(server, tmp_path):
    """Of three magenta frames one is stored unchanged; each `--undo` reverts one count, and reports if none is left."""
    folder, aside, url = tmp_path / "frames", tmp_path / "aside", f"http://127.0.0.1:{server.port}"
    folder.mkdir()
    for number, colour in enumerate(["red", "red", *["magenta"] * 3, "red", "red"]):
        (folder / f"{number}.png").write_bytes(as_bytes(picture(colour)))
    done = run(folder, "--url", url, "--aside", aside)
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in aside.iterdir()] == [as_bytes(picture("magenta"))], done.stdout
    for left in ("undone: red", "undone: red", "nothing to undo"):
        assert run("--undo", "--url", url).stdout.startswith(left)
    with Larder(url) as larder:
        assert larder.items() == []


def test_a_new_thing_is_taught_and_counted(server, tmp_path):
    """A colour without a label is taught by one picture, and recognised in the following frames."""
    url = f"http://127.0.0.1:{server.port}"
    for folder, count in (("green", 1), ("frames", 2)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            (tmp_path / folder / f"{number}.png").write_bytes(as_bytes(picture("green")))
    done = run(tmp_path / "green", "--url", url, "--teach", "grass")
    assert (done.returncode, "0.png: taught as grass" in done.stdout) == (0, True), done.stderr
    with Larder(url) as larder:
        wait_until(lambda: larder.recognise(as_bytes(picture("green"))).item == "grass")
        assert larder.forget("grass", larder.taught("grass")[0].id) == 1
        assert larder.taught("grass") == []
        assert [each.item for each in larder.recognise_shelf(as_bytes(picture("red"), "JPEG"))] == ["red"]


def test_a_service_that_is_away_is_said_so(tmp_path):
    """The output is one line that names the address, without a traceback."""
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_bytes(as_bytes(picture("red")))
    done = run(tmp_path, "--url", "http://127.0.0.1:9")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "http://127.0.0.1:9 cannot be reached" in done.stderr


def test_a_camera_without_opencv_is_said_so(tmp_path):
    """One line names what to install, or the camera that cannot be opened."""
    done = run("--camera", "9", "--url", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (2, "")
    assert "robot: " in done.stderr
    assert ("pip install opencv-python" in done.stderr) or "camera 9 cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr
