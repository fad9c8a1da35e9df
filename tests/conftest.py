"""A service over the colour model, with its files in an empty folder."""

import gc
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from filelock import FileLock
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from app.main import create_app
from app.settings import Settings
from harness.server import Server
from tests.fakes import ColourEncoder, colour_model
from tests.s3 import Bucket
from tests.untested import say_untested

# the same examples in each run, and no example is too slow; --hypothesis-profile=default looks for new ones
hypothesis_settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("steady")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process that a test starts compiles the app again
LABELS = "# colours\nred\ngreen\nblue | azure blue\n"


def pytest_collection_finish() -> None:
    """Exclude imports from garbage collection: scanning them is a fifth of each service's start."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    say_untested(terminalreporter)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own LARDER_ variables from the tests."""
    for name in list(os.environ):
        if name.startswith("LARDER_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _pillows_limit_is_given_back() -> Iterator[None]:
    """Restore Pillow's pixel limit, which a service sets for the whole process."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    yield
    Image.MAX_IMAGE_PIXELS = before


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str, Callable[[Path], None]], Path]:
    """Return a folder by its name, filled by `fill` once per run and shared by pytest-xdist's workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def once(name: str, fill: Callable[[Path], None]) -> Path:
        folder = shared / name
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                fill(shared / f"{name}.part")
                (shared / f"{name}.part").rename(folder)
        return folder

    return once


@pytest.fixture(scope="session")
def new_data(once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Make data folders for services with larder-small, with the prompts of its labels already encoded."""

    def encode_prompts(folder: Path) -> None:
        with Server(data=folder) as server:
            server.ready()
        with closing(sqlite3.connect(folder / "prompts.sqlite")) as file:
            file.execute("PRAGMA wal_checkpoint")  # into the file that is copied

    def new_data() -> Path:
        folder = tmp_path_factory.mktemp("data")
        shutil.copy(once("prompts", encode_prompts) / "prompts.sqlite", folder)
        return folder

    return new_data


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "labels.txt").write_text(LABELS)
    (tmp_path / "templates.txt").write_text("a photo of {}.\n")
    (tmp_path / "background.txt").write_text("something else\n")
    (tmp_path / "nouns.txt").write_text("white\nblack\n")
    return Settings(
        labels=tmp_path / "labels.txt",
        templates=tmp_path / "templates.txt",
        background=tmp_path / "background.txt",
        nouns=tmp_path / "nouns.txt",
        data=tmp_path,
    )


@pytest.fixture
def start(settings: Settings, encoder: ColourEncoder) -> Iterator[Callable[..., TestClient]]:
    """Start a service with some settings changed; it ends with the test."""
    clients: list[TestClient] = []

    def start(ready: bool = True, known_margin: float | None = 0.1, **changes: object) -> TestClient:
        changed = Settings(**{**settings.model_dump(), **changes})
        client = TestClient(create_app(changed, colour_model(encoder, known_margin)), raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        if ready:
            wait_until(lambda: client.get("/").status_code == 200)
        return client

    yield start
    encoder.open.set()
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(start: Callable[..., TestClient]) -> TestClient:
    """A ready service over the colours red, green and blue."""
    return start()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket of a local S3, named by AWS's own variables."""
    with Bucket(monkeypatch.setenv) as bucket:
        yield bucket


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Poll until the condition is true; the timeout only ends a hang, so a busy machine fails no test."""
    import time

    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
