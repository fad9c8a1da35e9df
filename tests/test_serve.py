"""The process itself: started as users start it, called over HTTP, ended by signals."""

import signal
import socket
import threading
from contextlib import ExitStack

import httpx2 as httpx
import pytest

from app.__main__ import main
from harness.server import Server
from tests.bundles import write_bundle
from tests.conftest import wait_until
from tests.fakes import as_base64, picture

SERVE = ("app", "serve")
UVICORN = ("uvicorn", "--factory", "app.main:create_app", "--port", "PORT")
COMMANDS = pytest.mark.parametrize("command", [SERVE, UVICORN], ids=["python -m app serve", "uvicorn"])


@pytest.fixture
def launch(tmp_path):
    write_bundle(tmp_path / "tiny")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    files = {"model": tmp_path / "tiny", "labels": tmp_path / "labels.txt", "data": tmp_path / "data", "drain": 1}
    with ExitStack() as running:
        yield lambda command=("app", "serve"), **settings: running.enter_context(Server(command, **files | settings))


@COMMANDS
def test_it_serves(launch, command):
    """Both ways of starting give a service that answers and logs only JSON."""
    service = launch(command)
    service.ready()
    answer = service.client.post("/process-image", json={"image_data": as_base64(picture("blue"))}).json()
    assert answer["item"] == "blue"
    service.process.send_signal(signal.SIGINT)
    output = service.end()
    assert '"path": "/process-image"' in output
    assert "Traceback" not in output


def test_sigterm_drains(launch):
    """After SIGTERM `GET /` and new requests are 503 until the port closes, and the exit status is 0."""
    service = launch(drain=5)
    service.ready()
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=60) as client:
            try:
                while True:
                    body = {"image_data": as_base64(picture("red"))}
                    statuses.append(client.post("/process-image", json=body).status_code)
            except httpx.TransportError:
                return  # the port is closed

    asking = threading.Thread(target=ask)
    asking.start()
    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: service.client.get("/").json()["status"] == "draining")
    assert service.client.get("/").status_code == 503
    wait_until(lambda: statuses.count(503) > 10)
    service.end()
    asking.join(60)
    assert service.process.returncode == 0
    assert statuses == sorted(statuses), "200 was answered after a 503"
    assert set(statuses) <= {200, 503}


def test_a_second_sigterm_hurries(launch):
    """A second SIGTERM skips the wait for the load balancer."""
    service = launch(drain=60)
    service.ready()
    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: service.client.get("/").json()["status"] == "draining")
    service.process.send_signal(signal.SIGTERM)
    service.end()
    assert service.process.returncode == 0


def test_counts_survive_kill_9(launch):
    """An acknowledged change is there after the process was killed."""
    service = launch()
    service.ready()
    assert service.client.post("/pantry/rice/add", json={"quantity": 7}).json()["count"] == 7
    service.process.kill()
    service.end()
    service = launch()
    service.ready()
    assert service.client.get("/pantry/rice").json() == {"item": "rice", "count": 7}
    assert "rice" in [each["label"] for each in service.client.get("/labels").json()["labels"]]


@pytest.mark.parametrize(
    ("command", "setting", "value", "message"),
    [
        (SERVE, "threads", "none", "LARDER_THREADS: 'none' was found"),
        (UVICORN, "model", "huge", "no model bundle 'huge'"),
        (UVICORN, "background", "none.txt", "none.txt cannot be read"),
        (SERVE, "data", "/proc/nowhere", "pantry.sqlite cannot be opened"),
    ],
)
def test_what_stops_the_start_is_one_line(launch, command, setting, value, message):
    """A wrong setting, bundle, file or folder ends the start with one clear line and a status above 0."""
    service = launch(command, **{setting: value})
    output = service.end()
    assert service.process.returncode > 0
    assert message in output
    assert "Traceback" not in output
    assert len([line for line in output.splitlines() if not line.startswith("{")]) == 1


def test_an_address_that_cannot_be_listened_on_is_one_line(monkeypatch, capsys):
    """For a port in use and for an invalid host, the line names both settings."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for host, port in (("127.0.0.1", taken.getsockname()[1]), ("no host", 0)):
            monkeypatch.setenv("LARDER_HOST", host)
            monkeypatch.setenv("LARDER_PORT", str(port))
            assert main(["serve"]) == 2
            error = capsys.readouterr().err
            assert error.startswith(f"larder: LARDER_HOST, LARDER_PORT: {host}:{port} was found, which cannot be liste")
            assert error.count("\n") == 1
