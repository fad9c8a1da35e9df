"""Pantries under test: SQLite in a file, Firestore in Google's emulator."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from google.cloud import firestore

from app.components import open_pantry
from app.pantry import PantryStore
from app.settings import Settings
from harness.emulator import MISSING, Emulator, find_jar
from tests.untested import there


def _started() -> Iterator[Emulator]:
    """Start a separate emulator; if none is installed the tests that need it are skipped, loudly."""
    own = Emulator(there(find_jar(), "Firestore", MISSING))
    own.start()
    yield own
    own.stop()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The emulator named by FIRESTORE_EMULATOR_HOST, or one started for the whole run."""
    if os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield Emulator()
        return
    yield from _started()


@pytest.fixture(scope="module")
def own_emulator() -> Iterator[Emulator]:
    """An emulator that tests may stop and start; each leaves it running."""
    yield from _started()


@pytest.fixture
def project() -> str:
    """A separate project for each test: an empty pantry."""
    return f"test-{uuid.uuid4().hex[:20]}"


@pytest.fixture
def in_firestore(emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """LARDER_PANTRY for an empty pantry in the emulator."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator.host)
    return f"firestore://{project}/pantry"


@pytest.fixture
def phone(in_firestore: str, project: str) -> Iterator[firestore.CollectionReference]:
    """The collection as a phone app sees it, through Google's own client."""
    client = firestore.Client(project=project)
    yield client.collection("pantry")
    client.close()


@pytest.fixture(params=["sqlite", "firestore"])
def kind(request: pytest.FixtureRequest) -> str:
    """The value of LARDER_PANTRY, for each available store."""
    return "sqlite" if request.param == "sqlite" else request.getfixturevalue("in_firestore")


@pytest.fixture
def opened(kind: str, tmp_path: Path) -> Iterator[Callable[[], PantryStore]]:
    """Open the same pantry again, as another client would."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(open_pantry(Settings(pantry=kind, data=tmp_path))))


@pytest.fixture
def store(opened: Callable[[], PantryStore]) -> PantryStore:
    """An empty pantry."""
    return opened()
