"""What only the SQLite pantry does: its file survives what may happen to a file."""

import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from app.errors import InvalidRequest, StoreUnavailable
from app.pantry import Key, sqlite
from app.pantry.sqlite import SQLitePantry


@pytest.fixture
def store(tmp_path):
    store = SQLitePantry(tmp_path / "pantry.sqlite")
    yield store
    store.close()


ADDER = """
import sys
from pathlib import Path
from app.pantry import Key
from app.pantry.sqlite import SQLitePantry
store = SQLitePantry(Path(sys.argv[1]))
start = int(sys.argv[2])
for number in range(start, start + 10**9):
    print(store.add("rice", 1, Key(f"k{number}", "r") if number % 2 else None).count, flush=True)
"""


def test_acknowledged_adds_survive_kill_9(tmp_path):
    """Killed at any moment, 20 times over, no acknowledged add is lost, and at most one unacknowledged is there."""
    path, acknowledged = tmp_path / "pantry.sqlite", 0
    for _ in range(20):
        command = [sys.executable, "-c", ADDER, str(path), str(acknowledged)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(20):
            acknowledged = int(process.stdout.readline())
        threading.Event().wait(0.01)
        process.kill()
        rest, _ = process.communicate()
        acknowledged = max([acknowledged, *[int(line) for line in rest.split("\n")[:-1]]])
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
    """Where the key cannot be stored, neither is the change."""
    monkeypatch.setattr(sqlite, "_KEEP_KEY", "INSERT INTO nothing VALUES (?, ?, ?, ?, ?, ?)")
    with pytest.raises(StoreUnavailable):
        store.add("rice", 1, Key("k", "r"))
    assert store.items() == {}


def test_a_key_is_good_for_a_day_and_no_longer(store):
    """A key that is older is as good as new, also for another request; a younger one is not."""
    key = Key("k", "r")
    assert store.add("rice", 2, key).count == store.add("rice", 2, key).count == 2
    store._file.writer.execute("UPDATE keys SET at = at - ?", (sqlite.KEYS_KEPT_S - 60,))
    assert store.add("rice", 2, key).count == 2
    store._file.writer.execute("UPDATE keys SET at = at - 61")
    assert store.add("rice", 3, Key("k", "another request")).count == 5
    with pytest.raises(InvalidRequest, match="another request"):
        store.add("rice", 2, key)


def test_old_keys_are_forgotten(store, monkeypatch):
    """Keys are kept for a day and up to a number, so that the file does not grow for ever."""
    monkeypatch.setattr(sqlite, "KEYS_KEPT", 3)
    for number in range(10):
        store.add("rice", 1, Key(f"k{number}", "r"))
    count = store._file.writer.execute("SELECT count(*) FROM keys").fetchone()[0]
    assert count == 3
    store._file.writer.execute("UPDATE keys SET at = ?", (time.time() - sqlite.KEYS_KEPT_S - 1,))
    store.add("rice", 1, Key("new", "r"))
    assert store._file.writer.execute("SELECT key FROM keys").fetchall() == [("new",)]


def test_spellings_that_were_items_of_their_own_are_united(tmp_path):
    """Opened again, a file of an earlier release has one item of each name, with all counts and examples."""
    path = tmp_path / "pantry.sqlite"
    SQLitePantry(path).close()
    connection = sqlite3.connect(path)
    rows = {
        "cre\u0300me": 2,
        "crème": 3,
        "ｂａｎａｎａ": 4,
        "lay’s": 1,
        "weissbier": 5,
        "weißbier": 6,
        "half/half": 7,
        "tea": 8,
    }
    connection.executemany("INSERT INTO items VALUES (?, ?)", rows.items())
    keep = "INSERT INTO examples (id, item, model, vector, at) VALUES (?, ?, 'seen', x'0000803f', 0)"
    connection.executemany(keep, [("a", "cre\u0300me"), ("b", "crème"), ("c", "weißbier"), ("d", "ｂａｎａｎａ")])
    connection.commit()
    connection.close()
    for _ in range(2):
        store = SQLitePantry(path)
        expected = {"crème": 5, "banana": 4, "lay's": 1, "weissbier": 11, "half/half": 7, "tea": 8}
        assert store.items() == expected
        found = {example.id: example.item for example in store.examples()}
        assert found == {"a": "crème", "b": "crème", "c": "weissbier", "d": "banana"}
        store.close()


def test_another_program_that_changes_names_is_seen(store, tmp_path):
    """The stamp is kept by the file itself: an item that is inserted, renamed or deleted by hand changes it."""
    stamps = [store.stamp()]
    connection = sqlite3.connect(tmp_path / "pantry.sqlite", isolation_level=None)
    for change in ("INSERT INTO items VALUES ('tea', 1)", "UPDATE items SET item = 'oats'", "DELETE FROM items"):
        connection.execute(change)
        stamps.append(store.stamp())
    connection.close()
    assert len(set(stamps)) == 4
