"""The Firestore pantry, against Google's emulator: other clients, odd documents, own changes."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from google.cloud import firestore

from app.components import open_pantry
from app.errors import InvalidRequest, NotFound, StoreUnavailable
from app.pantry import Item, Key
from app.pantry.examples import to_bytes
from app.pantry.firestore import writer
from app.pantry.firestore.store import FirestorePantry
from app.settings import Settings
from harness.emulator import free_port
from tests.conftest import wait_until
from tests.fakes import as_base64, picture


@pytest.fixture
def store(in_firestore):
    store = open_pantry(Settings(pantry=in_firestore))
    yield store
    store.close()


def test_documents_are_as_described(store, phone):
    """An item is a document of that id with an integer `count`; a key is one of the sibling collection."""
    store.add("soy sauce", 2, Key("k", "r"))
    store.add("soy sauce", 1)
    assert {each.id: each.to_dict() for each in phone.stream()} == {"soy sauce": {"count": 3}}
    (key,) = phone._client.collection("pantry_keys").stream()
    assert key.to_dict().keys() == {"request", "item", "count", "removed", "expires"}
    assert 86_000 < key.to_dict()["expires"].timestamp() - time.time() < 86_500


@pytest.mark.parametrize("key", [None, Key("k", "r")], ids=["without key", "with key"])
@pytest.mark.parametrize("operation", ["put", "add", "remove"])
def test_other_fields_are_left_alone(store, phone, operation, key):
    """A change keeps the document's other fields, which a phone app may have written."""
    phone.document("rice").set({"count": 5, "shelf": {"row": 1}, "photos": ["a"]})
    wait_until(lambda: store.items() == {"rice": 5})
    after = getattr(store, operation)("rice", 2, key)
    assert phone.document("rice").get().to_dict() == {"count": after.count, "shelf": {"row": 1}, "photos": ["a"]}


def test_odd_documents_are_tolerated(capfd, store, phone):
    """They become items as far as possible, each is reported once, and valid documents are served."""
    odd = {
        "no count": {"note": "x"},
        "string": {"count": "7"},
        "fraction": {"count": 2.5},
        "negative": {"count": -3},
        "bool": {"count": True},
        "nothing": {"count": None},
        "Capital": {"count": 4},
        "x" * 500: {"count": 1},
        " ": {"count": 1},
    }
    for document_id, fields in odd.items():
        phone.document(document_id).set(fields)
    phone.document("rice").set({"count": 1})
    expected = {"no count": 0, "string": 0, "fraction": 2, "negative": 0, "bool": 0, "nothing": 0}
    wait_until(lambda: store.items() == expected | {"capital": 4, "rice": 1})
    phone.document("rice").set({"count": 2})
    phone.document("fraction").set({"count": 3.5})
    wait_until(lambda: (store.get("rice").count, store.get("fraction").count) == (2, 3))
    assert "".join(capfd.readouterr()).count("invalid document") == len(odd)


@pytest.mark.parametrize(
    ("fields", "after"),
    [({}, 2), ({"count": "7"}, 2), ({"count": -3}, 2), ({"count": 2.5}, 4), ({"count": float("nan")}, 2)],
    ids=str,
)
def test_a_change_mends_an_odd_count(store, phone, fields, after):
    """Adding to an odd count gives the shown count plus the quantity, as an integer; other fields stay."""
    phone.document("rice").set(fields | {"note": "x"})
    wait_until(lambda: "rice" in store.items())
    assert store.add("rice", 2) == Item("rice", after)
    assert phone.document("rice").get().to_dict() == {"count": after, "note": "x"}
    assert type(phone.document("rice").get().get("count")) is int


def test_an_odd_count_that_has_not_arrived_yet_is_not_lost(store, phone):
    """With a count that turned odd this very moment, Firestore itself does the sum."""
    store.put("rice", 5)
    store._memory.document = lambda item: (item, None)
    phone.document("rice").set({"count": 2.5})
    assert store.add("rice", 1).count == 3
    assert store.remove("rice", 9) == Item("rice", 0, removed=3)


def test_changes_go_to_the_document_that_shows(store, phone):
    """An item whose document is spelt with capitals is changed there, not doubled."""
    phone.document("Rice").set({"count": 4})
    wait_until(lambda: store.items() == {"rice": 4})
    assert store.add("rice", 1).count == 5
    assert store.remove("rice", 2, Key("k", "r")) == Item("rice", 3, removed=2)
    assert [each.id for each in phone.stream()] == ["Rice"]
    store.delete("rice")
    assert store.items() == {}


def test_our_change_shows_at_once(store):
    """An acknowledged change is in `items` before the listener can report it, and the listener does not undo it."""
    for number in range(1, 30):
        assert store.add("rice", 1).count == number
        assert store.items() == {"rice": number}
    store.delete("rice")
    for _ in range(50):
        assert store.items() == {}
        time.sleep(0.01)


def test_changes_of_others_are_counted_in(store, phone):
    """Concurrent increments by a phone app and by us are all counted."""
    store.put("rice", 0)

    def change(number):
        phone.document("rice").update({"count": firestore.Increment(1)}) if number % 2 else store.add("rice", 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(60)))
    wait_until(lambda: store.get("rice").count == 60)


def test_a_change_that_others_forestall_is_made_on_what_they_left(store, phone, monkeypatch):
    """Before it is written somebody may change or delete the document: then it is read again."""
    store.put("rice", 5)
    commit = store._writer._connection.commit
    meddling = [lambda: phone.document("rice").set({"count": 10}), lambda: phone.document("rice").delete()]

    def commit_and_be_forestalled(*arguments):
        if meddling:
            meddling.pop(0)()
        return commit(*arguments)

    monkeypatch.setattr(store._writer._connection, "commit", commit_and_be_forestalled)
    assert store.add("rice", 1, Key("k", "r")) == Item("rice", 1)
    assert meddling == []
    entries, _ = store.journal()
    assert [(each.before, each.after) for each in entries] == [(None, 1), (None, 5)]


def test_what_others_leave_in_the_journal_is_no_error(store, phone):
    """An invalid document is skipped."""
    store.put("rice", 3)
    (entry,), _ = store.journal()
    others = phone._client.collection("pantry_journal")
    for number, fields in enumerate([{}, {"action": "eat", "item": "rice", "at": 1.0}, {"action": "put", "at": "now"}]):
        others.document(f"{number:016x}-00000000").set(fields)
    assert store.journal() == ([entry], None)
    with pytest.raises(NotFound):
        store.undo(f"{1:016x}-00000000")


def test_a_key_is_good_for_a_day_and_no_longer(store, phone):
    """Firestore deletes what has expired within days, or never: a key that has expired is as good as new."""
    keys = phone._client.collection("pantry_keys")
    key = Key("k", "r")
    assert store.add("rice", 2, key).count == store.add("rice", 2, key).count == 2
    (known,) = keys.stream()
    known.reference.update({"expires": datetime.now(UTC) - timedelta(seconds=1)})
    assert store.add("rice", 3, Key("k", "another request")).count == 5
    assert store.add("rice", 3, Key("k", "another request")).count == 5
    (known,) = keys.stream()
    assert known.to_dict()["expires"] > datetime.now(UTC) + timedelta(hours=23)
    with pytest.raises(InvalidRequest, match="another request"):
        store.add("rice", 2, key)


def test_of_two_changes_with_an_expired_key_one_happens(store, phone):
    """Sent at once, by eight threads, the change is carried out once more, and all get its answer."""
    key = Key("k", "r")
    store.add("rice", 1, key)
    (known,) = phone._client.collection("pantry_keys").stream()
    known.reference.update({"expires": datetime.now(UTC) - timedelta(days=2)})
    with ThreadPoolExecutor(8) as pool:
        assert {each.count for each in pool.map(lambda _: store.add("rice", 1, key), range(8))} == {2}
    assert phone.document("rice").get().get("count") == 2


UNIT = to_bytes(np.array([1, 0, 0], np.float32))
ODD_EXAMPLES = {
    "no-time": {"item": "rice", "model": "m", "vector": UNIT},
    "integer-time": {"item": "rice", "model": "m", "vector": UNIT, "at": 1_700_000_000},
    "time-in-ms": {"item": "rice", "model": "m", "vector": UNIT, "at": 1.7e12},
    "time-infinite": {"item": "rice", "model": "m", "vector": UNIT, "at": float("inf")},
    "time-no-number": {"item": "rice", "model": "m", "vector": UNIT, "at": float("nan")},
    "time-negative": {"item": "rice", "model": "m", "vector": UNIT, "at": -1e300},
    "time-a-text": {"item": "rice", "model": "m", "vector": UNIT, "at": "yesterday"},
    "model-a-number": {"item": "rice", "model": 3, "vector": UNIT, "at": 1.0},
    "other-size": {"item": "rice", "model": "m", "vector": to_bytes(np.array([1, 0], np.float32)), "at": 1.0},
    "zero": {"item": "rice", "model": "m", "vector": bytes(12), "at": 1.0},
    "huge": {"item": "rice", "model": "m", "vector": to_bytes(np.full(3, 1e30, np.float32)), "at": 1.0},
    "text": {"item": "rice", "model": "m", "vector": "abc", "at": 1.0},
    "list": {"item": ["rice"], "model": "m", "vector": [1.0, 0.0, 0.0], "at": 1.0},
    "empty": {},
}


def test_nothing_in_an_examples_document_is_an_error(start, in_firestore, phone):
    """Examples that other programs write are used as far as they can be, and every call goes on."""
    client = start(pantry=in_firestore)
    model = client.app.state.service.model.checksum
    client.put("/pantry/rice", json={"count": 1}).raise_for_status()
    examples = phone._client.collection("pantry_examples")
    for id, fields in ODD_EXAMPLES.items():
        examples.document(id).set(fields | ({"model": model} if fields.get("model") == "m" else {}))
    examples.document("last").set({"item": "rice", "model": model, "vector": UNIT, "at": 2.0})
    left_out = {"zero", "huge", "text", "list", "empty"}

    def told():
        return {each["id"]: each for each in client.get("/pantry/rice/examples").json()["examples"]}

    wait_until(lambda: set(told()) == {*ODD_EXAMPLES, "last"} - left_out)
    assert told()["integer-time"]["taught_at"].startswith("2023-11-14")
    for id in ("time-in-ms", "time-infinite", "time-no-number", "time-negative", "time-a-text", "no-time"):
        assert told()[id]["taught_at"].startswith("1970-01-01T00:00:00"), id
    assert told()["other-size"]["used"] is False
    image = as_base64(picture("red"))
    assert client.post("/process-image", json={"image_data": image}).status_code == 200
    assert client.post("/pantry/rice/examples", json={"images": [image]}).status_code == 200
    assert client.delete("/pantry/rice/examples").json()["deleted"] == 1 + len({*ODD_EXAMPLES, "last"} - left_out)


def test_names_that_firestore_keeps_for_itself_are_refused(store):
    """A reserved name is an error of the request."""
    with pytest.raises(InvalidRequest, match="keeps names like"):
        store.add("__rice__", 1)


def test_only_so_many_changes_wait(store, monkeypatch):
    """When Firestore hangs, changes must not take all the threads there are: one more is refused at once."""
    for _ in range(writer.MAX_CONCURRENT):
        store._writer._under_way.acquire()
    with pytest.raises(StoreUnavailable, match="nothing was stored"):
        store.add("rice", 1)
    for _ in range(writer.MAX_CONCURRENT):
        store._writer._under_way.release()
    assert store.add("rice", 1).count == 1


def test_a_start_without_firestore_succeeds(capfd):
    """Before the first snapshot there are no items, changes fail, and no item is reported as missing."""
    store = FirestorePantry("nowhere", "pantry", emulator=f"127.0.0.1:{free_port()}")
    assert store.items() == {}
    assert store.status().status == "stale"
    for call in (lambda: store.get("rice"), lambda: store.add("rice", 1)):
        with pytest.raises(StoreUnavailable):
            call()
    store.close()
    said = "".join(capfd.readouterr())
    assert "Firestore connection lost" in said
    assert "starting without the pantry's items" in said


def test_a_strict_start_without_firestore_fails():
    """It waits, and ends with Firestore's last answer."""
    with pytest.raises(StoreUnavailable, match="no snapshot from Firestore within 1 s: UNAVAILABLE"):
        FirestorePantry("nowhere", "pantry", emulator=f"127.0.0.1:{free_port()}", strict=True, strict_wait_s=1)


def test_without_credentials_it_is_said_at_the_start(monkeypatch, tmp_path):
    """Waiting cannot help, so the start ends with one line that names the documentation."""
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    with pytest.raises(StoreUnavailable, match="no credentials .*docs/firestore.md") as raised:
        open_pantry(Settings(pantry="firestore://some-project/pantry"))
    assert "\n" not in str(raised.value)
