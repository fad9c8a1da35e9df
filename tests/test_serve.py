"""The process itself: started as people start it, asked over HTTP, ended by signals."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.bundles import write_bundle
from tests.fakes import as_base64, picture

ROOT = Path(__file__).parent.parent


class Process:
    """A service in a process of its own, on a free port of 127.0.0.1."""

    def __init__(self, folder: Path, command: list[str], **settings: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        defaults = {
            "LARDER_PORT": str(self.port),
            "LARDER_MODEL": str(folder / "tiny"),
            "LARDER_LABELS": str(folder / "labels.txt"),
            "LARDER_DATA": str(folder / "data"),
            "LARDER_DRAIN": "1",
        }
        command = [part.replace("PORT", str(self.port)) for part in command]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=os.environ | defaults | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def ready(self) -> "Process":
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if self.client.get("/").status_code == 200:
                    return self
            except httpx.TransportError:
                assert self.process.poll() is None, self.process.stdout.read()
            time.sleep(0.02)
        raise AssertionError("not ready within 30 s")

    def end(self) -> str:
        """The exit is waited for; what was printed comes back."""
        output, _ = self.process.communicate(timeout=30)
        self.client.close()
        return output


@pytest.fixture
def launch(tmp_path):
    write_bundle(tmp_path / "tiny")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    running: list[Process] = []

    def launch(*command: str, **settings: str) -> Process:
        running.append(Process(tmp_path, list(command or ("app", "serve")), **settings))
        return running[-1]

    yield launch
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
            each.end()


@pytest.mark.parametrize(
    "command",
    [("app", "serve"), ("uvicorn", "--factory", "app.main:create_app", "--port", "PORT")],
    ids=["python -m app serve", "uvicorn"],
)
def test_it_serves(launch, command):
    """Both ways of starting give a service that answers and logs JSON alone."""
    service = launch(*command).ready()
    answer = service.client.post("/process-image", json={"image_data": as_base64(picture("blue"))}).json()
    assert answer["item"] == "blue"
    service.process.send_signal(signal.SIGINT)
    output = service.end()
    assert '"path": "/process-image"' in output
    assert "Traceback" not in output


def test_sigterm_drains(launch):
    """After SIGTERM `GET /` is 503, requests are answered until the port closes, and the exit status is 0."""
    service = launch().ready()
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=10) as client:
            try:
                while True:
                    body = {"image_data": as_base64(picture("red"))}
                    statuses.append(client.post("/process-image", json=body).status_code)
            except httpx.TransportError:
                return  # the port is closed

    asking = threading.Thread(target=ask)
    asking.start()
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    response = service.client.get("/")
    assert (response.status_code, response.json()["status"]) == (503, "draining")
    service.end()
    asking.join(10)
    assert service.process.returncode == 0
    assert len(statuses) > 10
    assert set(statuses) <= {200, 503}


def test_a_second_sigterm_hurries(launch):
    """Whoever does not want to wait for the load balancer says it twice."""
    service = launch(LARDER_DRAIN="60").ready()
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    service.process.send_signal(signal.SIGTERM)
    service.end()
    assert service.process.returncode == 0


def test_counts_survive_kill_9(launch):
    """An acknowledged change is there after the process was killed."""
    service = launch().ready()
    assert service.client.post("/pantry/rice/add", json={"quantity": 7}).json()["count"] == 7
    service.process.kill()
    service.end()
    service = launch().ready()
    assert service.client.get("/pantry/rice").json() == {"item": "rice", "count": 7}
    assert "rice" in [each["label"] for each in service.client.get("/labels").json()["labels"]]


@pytest.mark.parametrize(
    "command",
    [("app", "serve"), ("uvicorn", "--factory", "app.main:create_app", "--port", "PORT")],
    ids=["python -m app serve", "uvicorn"],
)
@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("LARDER_THREADS", "none", "LARDER_THREADS: 'none' was found"),
        ("LARDER_MODEL", "huge", "no model bundle 'huge'"),
        ("LARDER_BACKGROUND", "none.txt", "none.txt cannot be read"),
        ("LARDER_DATA", "/proc/nowhere", "pantry.sqlite cannot be opened"),
    ],
)
def test_what_stops_the_start_is_one_line(launch, command, setting, value, message):
    """A wrong setting, bundle, file or folder ends the start with one clear line and an exit status above 0."""
    service = launch(*command, **{setting: value})
    output = service.end()
    assert service.process.returncode > 0
    assert message in output
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1
