"""What every pantry does, whichever store it is."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.errors import InvalidRequest, NotFound, StoreUnavailable
from app.pantry import MAX_COUNT, Item, Status, item_name
from app.pantry.none import NoPantry
from app.pantry.sqlite import SQLitePantry


@pytest.fixture
def store(tmp_path):
    store = SQLitePantry(tmp_path / "pantry.sqlite")
    yield store
    store.close()


def test_an_item_is_put_read_and_deleted(store):
    """What is put is there, with its count; what is deleted is not."""
    assert store.put("rice", 3) == Item("rice", 3)
    assert store.get("rice") == Item("rice", 3)
    assert store.put("rice", 0) == Item("rice", 0)
    store.delete("rice")
    with pytest.raises(NotFound, match="no item 'rice'"):
        store.get("rice")


def test_items_come_by_name(store):
    """All items, in the order of their names."""
    for name in ("rice", "apple", "müsli", "flour"):
        store.put(name, 1)
    assert list(store.items()) == ["apple", "flour", "müsli", "rice"]


def test_adding_makes_an_item(store):
    """An item that is not there starts from 0."""
    assert store.add("rice", 2) == Item("rice", 2)
    assert store.add("rice", 1) == Item("rice", 3)


def test_a_count_never_goes_below_0(store):
    """Taking more than there is leaves 0, and the item stays."""
    store.put("rice", 2)
    assert store.remove("rice", 5) == Item("rice", 0)
    assert store.items() == {"rice": 0}


def test_a_count_has_a_ceiling(store):
    """Adding beyond the greatest count stops at it, rather than overflow."""
    store.put("rice", MAX_COUNT)
    assert store.add("rice", MAX_COUNT).count == MAX_COUNT


@pytest.mark.parametrize("change", [lambda s: s.remove("no", 1), lambda s: s.delete("no"), lambda s: s.get("no")])
def test_an_unknown_item_is_not_found(store, change):
    """There is nothing to take from an item that is not there, and asking does not make it."""
    with pytest.raises(NotFound):
        change(store)
    assert store.items() == {}


def test_the_stamp_tells_of_changes(store):
    """The stamp stays while nothing happens, and differs after each change."""
    stamps = [store.stamp(), store.stamp()]
    assert stamps[0] == stamps[1]
    for change in (lambda: store.put("rice", 1), lambda: store.add("rice", 1), lambda: store.delete("rice")):
        change()
        stamps.append(store.stamp())
    assert len(set(stamps)) == 4


def test_concurrent_changes_are_all_counted(store):
    """200 adds and 100 removes from 8 threads leave exactly 100 more."""
    store.put("rice", 1000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: (store.remove if number % 3 == 0 else store.add)("rice", 1), range(300)))
    assert store.get("rice").count == 1100


ADDER = """
import sys
from pathlib import Path
from app.pantry.sqlite import SQLitePantry
store = SQLitePantry(Path(sys.argv[1]))
while True:
    print(store.add("rice", 1).count, flush=True)
"""


def test_acknowledged_adds_survive_kill_9(tmp_path):
    """Killed at any moment, five times over, no acknowledged add is lost, and at most one unacknowledged is there."""
    path, acknowledged, rounds = tmp_path / "pantry.sqlite", 0, 5
    for _ in range(rounds):
        process = subprocess.Popen([sys.executable, "-c", ADDER, str(path)], stdout=subprocess.PIPE, text=True)
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


def test_two_processes_count_to_exactly_the_sum(tmp_path):
    """Two processes that each add 1 a hundred times at once give 200."""
    path = tmp_path / "pantry.sqlite"
    SQLitePantry(path).close()
    script = ADDER.replace("while True", "for _ in range(100)")
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.DEVNULL) for _ in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    store = SQLitePantry(path)
    assert store.get("rice").count == 200
    store.close()


def test_a_file_that_is_no_database_is_said_at_the_start(tmp_path):
    """A wrong file is refused with its name, not overwritten."""
    path = tmp_path / "pantry.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnavailable, match="pantry.sqlite cannot be opened"):
        SQLitePantry(path)
    assert path.read_bytes().startswith(b"this is not")


def test_a_store_that_breaks_is_unavailable(store):
    """A write that cannot be stored is an error, never lost in silence."""
    store._connection.execute("DROP TABLE items")
    with pytest.raises(StoreUnavailable):
        store.add("rice", 1)


def test_no_pantry_has_no_items():
    """Without a pantry there is nothing to read, and changes say why they are refused."""
    store = NoPantry()
    assert store.items() == {}
    assert store.stamp() == store.stamp()
    assert store.status() == Status("none", 0)
    with pytest.raises(NotFound, match="LARDER_PANTRY=none"):
        store.add("rice", 1)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\0b", "half/half", "line\u2028break\x07"])
def test_a_name_that_is_no_name_is_refused(name):
    """Blank, over-long and unprintable names are refused, and those with a slash."""
    with pytest.raises(InvalidRequest, match="1 to 200 printable"):
        item_name(name)
