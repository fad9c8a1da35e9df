"""The SQLite pantry store: the file survives crashes and concurrent use."""

import sqlite3
import time

import numpy as np
import pytest

from app.errors import InvalidRequest, StoreUnavailable
from app.pantry import Key
from app.pantry.examples import new_example
from app.pantry.sqlite.journal import KEYS_KEPT_S
from app.pantry.sqlite.store import SQLitePantry
from harness.killed import reported_until_killed
from tests.pantry.adder import add_without_end


@pytest.fixture
def store(tmp_path):
    store = SQLitePantry(tmp_path / "pantry.sqlite")
    yield store
    store.close()


def test_acknowledged_adds_survive_kill_9(tmp_path):
    """Killed at any moment, 20 times over, no acknowledged add is lost, and at most one unacknowledged is there."""
    path, acknowledged = tmp_path / "pantry.sqlite", 0
    for _ in range(20):
        acknowledged = reported_until_killed(add_without_end, path, acknowledged, reports=20)[-1]
        store = SQLitePantry(path)
        assert acknowledged <= store.get("rice").count <= acknowledged + 1
        acknowledged = store.get("rice").count
        store.close()


def test_a_file_that_is_no_database_is_said_at_the_start(tmp_path):
    """A wrong file is refused with its name, not overwritten."""
    path = tmp_path / "pantry.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnavailable, match="pantry.sqlite cannot be opened"):
        SQLitePantry(path)
    assert path.read_bytes().startswith(b"this is not")


def test_a_store_that_breaks_is_unavailable(store):
    """A write that cannot be stored is an error, never lost in silence, and the next one finds the file usable."""
    store._file.writer.execute("ALTER TABLE items RENAME TO lost")
    with pytest.raises(StoreUnavailable):
        store.add("rice", 1)
    store._file.writer.execute("ALTER TABLE lost RENAME TO items")
    assert store.add("rice", 1).count == 1


def test_a_pantry_from_before_keys_goes_on(tmp_path):
    """A file that an earlier version made keeps its items and takes keys."""
    with sqlite3.connect(tmp_path / "pantry.sqlite") as connection:
        connection.execute(
            "CREATE TABLE items (item TEXT PRIMARY KEY, count INTEGER NOT NULL CHECK (count >= 0)) STRICT"
        )
        connection.execute("INSERT INTO items VALUES ('rice', 5)")
    connection.close()
    store = SQLitePantry(tmp_path / "pantry.sqlite")
    assert store.add("rice", 1, Key("k", "r")).count == 6
    store.close()


def test_a_key_and_its_change_are_stored_together(store, monkeypatch):
    """If the key cannot be stored, the change is not stored either."""
    monkeypatch.setattr("app.pantry.sqlite.journal._KEEP_KEY", "INSERT INTO nothing VALUES (?, ?, ?, ?, ?, ?)")
    with pytest.raises(StoreUnavailable):
        store.add("rice", 1, Key("k", "r"))
    assert store.items() == {}


def test_a_key_is_good_for_a_day_and_no_longer(store):
    """A key that is older is as good as new, also for another request; a younger one is not."""
    key = Key("k", "r")
    assert store.add("rice", 2, key).count == store.add("rice", 2, key).count == 2
    store._file.writer.execute("UPDATE keys SET at = at - ?", (KEYS_KEPT_S - 60,))
    assert store.add("rice", 2, key).count == 2
    store._file.writer.execute("UPDATE keys SET at = at - 61")
    assert store.add("rice", 3, Key("k", "another request")).count == 5
    with pytest.raises(InvalidRequest, match="another request"):
        store.add("rice", 2, key)


def kept_keys(store):
    return [row[0] for row in store._file.writer.execute("SELECT key FROM keys ORDER BY number")]


def test_old_keys_are_forgotten(tmp_path):
    """Keys are kept for a day and up to a number of each caller, so that the file does not grow for ever."""
    store = SQLitePantry(tmp_path / "bounded.sqlite", keys_kept=3)
    for number in range(10):
        store.add("rice", 1, Key(f"k{number}", "r"))
    assert kept_keys(store) == ["k7", "k8", "k9"]
    store._file.writer.execute("UPDATE keys SET at = ?", (time.time() - KEYS_KEPT_S - 1,))
    store.add("rice", 1, Key("new", "r"))
    assert kept_keys(store) == ["new"]
    store.close()


def test_a_caller_cannot_push_out_the_keys_of_another(tmp_path):
    """However many changes one caller makes, a repeated change of the other is applied once."""
    store = SQLitePantry(tmp_path / "bounded.sqlite", keys_kept=3)
    quiet = Key("k", "r", caller="quiet")
    assert store.add("rice", 1, quiet).count == 1
    for number in range(20):
        store.add("beans", 1, Key(f"k{number}", "r", caller="busy"))
    assert store.add("rice", 1, quiet).count == 1
    assert len(kept_keys(store)) == 4
    store.close()


def test_keys_of_an_earlier_release_go_on(tmp_path):
    """A file whose keys have no caller is brought up to date, by two processes at once too, and its keys count."""
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE keys (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, request TEXT NOT NULL, "
            "item TEXT NOT NULL, count INTEGER NOT NULL, removed INTEGER NOT NULL, at REAL NOT NULL) STRICT"
        )
        connection.execute("INSERT INTO keys VALUES (1, 'k', 'r', 'rice', 7, 0, ?)", (time.time(),))
    connection.close()
    stores = [SQLitePantry(path) for _ in range(2)]
    assert [store.add("rice", 1, Key("k", "r")).count for store in stores] == [7, 7]
    for store in stores:
        store.close()


def test_a_pantry_has_only_so_many_items(tmp_path):
    """A new item is refused once the pantry is full; those that are there go on, and one deleted makes room."""
    store = SQLitePantry(tmp_path / "small.sqlite", max_items=2)
    store.put("rice", 1)
    store.add("oats", 1)
    example = new_example("beans", "model", np.float32([1, 0]))
    for change in (
        lambda: store.put("beans", 1),
        lambda: store.add("beans", 1),
        lambda: store.teach("beans", [example]),
    ):
        with pytest.raises(InvalidRequest, match="the pantry has 2 items, the most that it takes"):
            change()
    assert store.add("rice", 1).count == 2
    store.teach("rice", [new_example("rice", "model", np.float32([1, 0]))])
    store.delete("oats")
    assert store.put("beans", 1).count == 1
    store.close()


def test_the_journal_is_bounded(tmp_path):
    """The newest entries stay, and ids are never given twice."""
    store = SQLitePantry(tmp_path / "bounded.sqlite", journal_kept=3)
    for number in range(6):
        store.put("rice", number)
    assert [(each.id, each.after) for each in store.journal()[0]] == [("6", 5), ("5", 4), ("4", 3)]
    store.close()


def test_a_change_and_its_entry_are_stored_together(store, monkeypatch):
    """If the entry cannot be stored, the change is not stored either, and no listener is called."""
    heard = []
    store.listeners.append(heard.append)
    monkeypatch.setattr("app.pantry.sqlite.journal._KEEP", "INSERT INTO nothing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
    with pytest.raises(StoreUnavailable):
        store.add("rice", 1)
    assert store.items() == {}
    assert heard == []
