"""The Milvus store: a separate process, which may stop, restart, or contain foreign collections."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from app.contents import Content, VectorModel
from app.contents.milvus import MilvusContents
from app.deadline import deadline_in
from app.errors import ContentsError, StoreUnavailable
from harness.emulator import free_port
from tests.conftest import wait_until
from tests.contents.conftest import MODEL

VECTOR = np.array([1, 0, 0, 0], np.float32)
SOME = Content("some", "text", text="red")
MORE = Content("more", "text", text="blue")


class Milvus:
    """milvus-lite as a separate server, which tests can stop and start."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        program = [str(Path(sys.executable).with_name("milvus-lite")), "server", "--data-dir", str(self._data)]
        command = [*program, "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Pause the server; returns when none of its threads runs."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "Milvus has ended"
        try:
            with closing(MilvusClient(self.address, timeout=1)) as client:
                return client.list_collections() is not None
        except Exception:  # whatever it raises while it starts
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Milvus(tmp_path_factory.mktemp("milvus"))
    yield server
    server.stop()


@pytest.fixture
def milvus(server):
    """An empty Milvus, shared because each start takes seconds."""
    yield server
    server.process.send_signal(signal.SIGCONT)
    with closing(MilvusClient(server.address)) as client:
        for name in client.list_collections():
            client.drop_collection(name)


@pytest.fixture
def other(milvus):
    """A client of another program."""
    with closing(MilvusClient(milvus.address)) as client:
        yield client


@pytest.fixture
def store(milvus):
    """A store with one entry."""
    with closing(MilvusContents(milvus.address, "entries", MODEL)) as store:
        store.put(SOME, VECTOR)
        yield store


def check_all_calls(store, kept: bool) -> None:
    """Check that every call works; `kept` says whether the entry still exists."""
    assert store.count() == int(kept)
    assert [hit.id for hit in store.search(VECTOR, 3)] == ["some"] * kept
    assert store.put(MORE, VECTOR) is True
    assert store.get("more") == MORE
    assert store.vectors(["more"]).shape == (1, 4)
    store.delete("more")


def test_a_released_collection_is_loaded_again(store, other):
    """Another program that frees Milvus's memory costs no restart of the service."""
    other.release_collection("entries")
    check_all_calls(store, kept=True)


def test_a_dropped_collection_is_made_again(store, other):
    """A collection that was dropped is empty, and usable."""
    other.drop_collection("entries")
    check_all_calls(store, kept=False)


def test_milvus_may_start_again(store, milvus):
    """While it is down every call fails; afterwards every call works without a restart of the service."""
    milvus.stop()
    with deadline_in(2):
        for call in (store.count, lambda: store.get("some"), lambda: store.put(MORE, VECTOR)):
            with pytest.raises(StoreUnavailable, match="Milvus cannot be used"):
                call()
    milvus.start()
    check_all_calls(store, kept=True)


def test_a_milvus_that_hangs_is_given_up_at_the_deadline(store, milvus, monkeypatch):
    """Every gRPC error is StoreUnavailable; for a change it says that it may have been stored."""
    milvus.pause()
    for call in (store.count, lambda: store.search(VECTOR, 1), lambda: store.get("some"), lambda: store.delete("some")):
        with deadline_in(0.5), pytest.raises(StoreUnavailable, match="Milvus cannot be used"):
            call()
    monkeypatch.setattr(store, "_query", lambda *_: [])  # so that the upsert itself hangs
    with deadline_in(0.5), pytest.raises(StoreUnavailable, match="not known whether the change was stored"):
        store.put(MORE, VECTOR)
    monkeypatch.undo()
    milvus.process.send_signal(signal.SIGCONT)
    wait_until(lambda: store.get("some") == SOME)


def test_the_service_goes_on_while_milvus_hangs(start, milvus, monkeypatch):
    """Health, metrics and recognition need no Milvus; a search fails, and works once Milvus continues."""
    from tests.fakes import as_base64, picture

    client = start(contents=f"milvus://127.0.0.1:{milvus.port}/entries")
    client.put("/contents/there", json={"type": "text", "text": "blue"}).raise_for_status()
    wait_until(lambda: "larder_contents 1.0" in client.get("/metrics").text)
    milvus.pause()
    for path in ("/", "/livez", "/metrics", "/labels", "/pantry"):
        assert client.get(path).status_code == 200, path
    assert client.post("/process-image", json={"image_data": as_base64(picture())}).status_code == 200
    refused = client.post("/contents/search", json={"text": "blue"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    wait_until(lambda: "larder_contents NaN" in client.get("/metrics").text)
    milvus.process.send_signal(signal.SIGCONT)
    wait_until(lambda: client.post("/contents/search", json={"text": "blue"}).status_code == 200)
    wait_until(lambda: "larder_contents 1.0" in client.get("/metrics").text)


def test_a_collection_of_another_program_is_told(milvus, other):
    """A foreign schema, dynamic or with a vector of another kind, is rejected with its fields."""
    other.create_collection("dynamic", dimension=4, auto_id=True)
    schema = MilvusClient.create_schema(auto_id=True)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=4)
    index = MilvusClient.prepare_index_params()
    index.add_index("embedding", index_type="AUTOINDEX", metric_type="COSINE")
    other.create_collection("theirs", schema=schema, index_params=index)
    for name, field in (("dynamic", "id"), ("theirs", "embedding")):
        with pytest.raises(ContentsError, match=f"{name} was not made by Larder: its fields are .*{field}.*LARDER_CON"):
            MilvusContents(milvus.address, name, MODEL)


def test_vectors_of_another_size_are_told(milvus, store):
    """The error names both dimensions."""
    with pytest.raises(ContentsError, match="entries has vectors of 4 numbers, those of larger have 8"):
        MilvusContents(milvus.address, "entries", VectorModel("larger", "0123abcd", 8))


def test_a_collection_that_another_model_has_made_anew_is_no_internal_error(milvus, store, other):
    """Dropped and filled by a service of another model, it is unavailable to this one, which says why."""
    other.drop_collection("entries")
    with closing(MilvusContents(milvus.address, "entries", VectorModel("larger", "another", 4))) as another:
        another.put(SOME, VECTOR)
    other.release_collection("entries")
    with pytest.raises(StoreUnavailable, match="1 entries .* have vectors of another model"):
        store.count() and store.search(VECTOR, 1)
