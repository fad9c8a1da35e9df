"""The contract of every pantry store."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.errors import InvalidRequest, NotFound
from app.pantry import MAX_COUNT, Item, Key, item_name
from app.pantry.examples import MAX_EXAMPLES, new_example
from tests.conftest import wait_until


def test_an_item_is_put_read_and_deleted(store):
    """A stored item is there with its count; a deleted one is not."""
    assert store.put("rice", 3) == Item("rice", 3)
    assert store.get("rice") == Item("rice", 3)
    assert store.put("rice", 0) == Item("rice", 0)
    store.delete("rice")
    with pytest.raises(NotFound, match="no item 'rice'"):
        store.get("rice")


def test_items_come_by_name(store):
    """Items are listed in the order of their names."""
    for name in ("rice", "apple", "müsli", "flour"):
        store.put(name, 1)
    assert list(store.items()) == ["apple", "flour", "müsli", "rice"]


def test_adding_makes_an_item(store):
    """A missing item starts from 0."""
    assert store.add("rice", 2) == Item("rice", 2)
    assert store.add("rice", 1) == Item("rice", 3)


def test_a_count_never_goes_below_0(store):
    """Removing more than the count leaves 0, returns the number removed, and the item stays."""
    store.put("rice", 3)
    assert store.remove("rice", 1) == Item("rice", 2, removed=1)
    assert store.remove("rice", 5) == Item("rice", 0, removed=2)
    assert store.remove("rice", 5) == Item("rice", 0, removed=0)
    assert store.items() == {"rice": 0}


def test_a_count_has_a_ceiling(store):
    """Adding beyond the greatest count stops at it, rather than overflow."""
    store.put("rice", MAX_COUNT - 1)
    assert store.add("rice", 1).count == MAX_COUNT
    assert store.add("rice", MAX_COUNT).count == MAX_COUNT
    assert store.remove("rice", 1) == Item("rice", MAX_COUNT - 1, removed=1)


@pytest.mark.parametrize("change", [lambda s: s.remove("no", 1), lambda s: s.delete("no"), lambda s: s.get("no")])
def test_an_unknown_item_is_not_found(store, change):
    """A missing item cannot be removed from or read, and the attempt does not create it."""
    with pytest.raises(NotFound):
        change(store)
    assert store.items() == {}


def test_the_stamp_tells_of_changes(store):
    """The stamp differs after an item was added or deleted, and stays the same when counts change."""
    stamps = [store.stamp()]
    store.put("rice", 1)
    stamps.append(store.stamp())
    store.add("rice", 1)
    store.put("rice", 7)
    store.remove("rice", 2, Key("k", "r"))
    assert store.stamp() == stamps[1]
    store.delete("rice")
    stamps.append(store.stamp())
    assert len(set(stamps)) == 3


def test_it_is_well(store):
    """A reachable store says so."""
    assert store.status().status == "ok"
    assert store.status().age_s < 5


def test_another_client_is_seen(store, opened):
    """Changes of another client are visible here, and change the stamp."""
    other = opened()
    before = store.stamp()
    for change, expected in (
        (lambda: other.put("rice", 2), {"rice": 2}),
        (lambda: other.add("rice", 3), {"rice": 5}),
        (lambda: other.delete("rice"), {}),
    ):
        change()
        wait_until(lambda: store.items() == expected)  # noqa: B023 - asked before the next round
        assert (store.stamp() == before) == (expected == {"rice": 5})  # a count alone makes no other stamp
        before = store.stamp()


def test_concurrent_changes_are_all_counted(store):
    """200 adds and 100 removes from 8 threads leave exactly 100 more."""
    store.put("rice", 1000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: (store.remove if number % 3 == 0 else store.add)("rice", 1), range(300)))
    assert store.get("rice").count == 1100


ADDERS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from app.errors import StoreUnavailable
from app.components import open_pantry
from app.settings import read_settings
store = open_pantry(read_settings())
def add(_):
    while True:
        try:
            return store.add("rice", 1).count
        except StoreUnavailable as error:
            if "nothing was stored" not in str(error):
                return None
with ThreadPoolExecutor(16) as pool:
    answers = list(pool.map(add, range(500)))
store.close()
counts = [count for count in answers if count is not None]
assert len(set(counts)) == len(counts)
print(len(counts))
"""


def test_two_processes_count_to_exactly_the_sum(store, kind, tmp_path):
    """Of 1,000 adds of 1, from 2 processes with 16 threads each, every one that was acknowledged counts once.

    The emulator has been seen to cancel a call by itself; only then is it not known whether an add was stored.
    """
    environment = os.environ | {"LARDER_PANTRY": kind, "LARDER_DATA": str(tmp_path)}
    command = [sys.executable, "-c", ADDERS]
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    acknowledged = sum(int(process.communicate()[0].splitlines()[-1]) for process in processes)
    assert acknowledged >= (1000 if kind == "sqlite" else 990)
    wait_until(lambda: acknowledged <= store.get("rice").count <= 1000)


def test_equal_keys_of_two_callers_are_two_keys(store):
    """A caller gets no answer, and no error, that belongs to another."""
    assert store.add("rice", 1, Key("k", "r", caller="one")).count == 1
    assert store.add("rice", 1, Key("k", "another", caller="other")).count == 2
    assert store.add("rice", 1, Key("k", "r")).count == 3
    for caller, request, count in (("one", "r", 1), ("other", "another", 2), ("", "r", 3)):
        assert store.add("rice", 1, Key("k", request, caller)).count == count


@pytest.mark.parametrize(
    "change",
    [
        lambda store, key: store.add("rice", 2, key),
        lambda store, key: store.remove("rice", 4, key),
        lambda store, key: store.put("rice", 9, key),
        lambda store, key: store.delete("rice", key),
    ],
    ids=["add", "remove", "put", "delete"],
)
def test_a_change_with_a_key_happens_once(store, opened, change):
    """A repetition, here or by another client, changes nothing and gets the first answer."""
    store.put("rice", 3)
    key = Key("a key: any text / at all é", "the request")
    first = change(store, key)
    store.put("rice", 100)
    assert change(store, key) == first
    assert change(opened(), key) == first
    assert store.get("rice").count == 100


def test_a_key_sent_many_times_at_once_counts_once(store):
    """For any overlap of the attempts, one of them is applied and all get its answer."""
    store.put("rice", 1)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: store.add("rice", 1, Key("k", "r")), range(24)))
    assert answers == [Item("rice", 2)] * 24
    assert store.get("rice").count == 2


def test_different_keys_are_different_changes(store, opened):
    """Changes with different keys from two concurrent clients are all counted."""
    stores = [store, opened()]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: stores[n % 2].add("rice", 1, Key(f"k{n}", "r")).count, range(40)))
    assert sorted(answers) == list(range(1, 41))


def test_a_key_stands_for_one_request(store):
    """The same key with another request is rejected, and changes nothing."""
    store.add("rice", 1, Key("k", "add rice 1"))
    with pytest.raises(InvalidRequest, match="another request before"):
        store.add("rice", 2, Key("k", "add rice 2"))
    assert store.items() == {"rice": 1}


def test_a_refused_change_is_not_remembered(store):
    """A removal from a missing item may be sent again with its key, once the item exists."""
    key = Key("k", "r")
    with pytest.raises(NotFound):
        store.remove("rice", 1, key)
    store.put("rice", 1)
    assert store.remove("rice", 1, key) == Item("rice", 0, removed=1)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\0b", "half/half", "line\u2028break\x07"])
def test_a_name_that_is_no_name_is_refused(name):
    """Blank, over-long and unprintable names, and those with a slash, are rejected."""
    with pytest.raises(InvalidRequest, match="it has .*; 1 to 200 visible ones without"):
        item_name(name)


@pytest.mark.parametrize(
    "name", ["müsli", "50% off", "é" * 200, "a.b", "..x", "名前", "__proto", "c++ & [x]*", "`tick`"]
)
def test_any_other_name_is_stored_as_it_is(store, opened, name):
    """Special characters of databases and URLs have no effect."""
    assert store.put(name, 1) == Item(name, 1)
    assert store.add(name, 1).count == 2
    assert store.remove(name, 1, Key(name, name)).count == 1
    assert opened().items() == {name: 1}
    store.delete(name)
    assert store.items() == {}


def unit(number):
    """Return a unit vector for each number."""
    return np.float32([np.cos(number), np.sin(number), 0])


def examples(item, *numbers, model="a model"):
    """Return examples with distinct vectors."""
    return [new_example(item, model, unit(number)) for number in numbers]


def seen(store):
    """Return the examples without their ids and times."""
    return [(each.item, each.model, each.vector.tolist()) for each in store.examples()]


def test_examples_are_kept_as_they_are(store, opened):
    """Vectors of every model are kept bit for bit, in the order of teaching, also for another client."""
    first, second = examples("rice", 1 / 3), examples("rice", 2, 3, model="another")
    store.teach("rice", first)
    store.teach("rice", second)
    for client in (store, opened()):
        wait_until(lambda: len(client.examples()) == 3)  # noqa: B023 - asked before the next round
        kept = client.examples()
        assert [(each.id, each.at) for each in kept] == [(each.id, each.at) for each in first + second]
        assert seen(client)[0] == ("rice", "a model", unit(1 / 3).tolist())
        assert [each.vector.dtype for each in kept] == [np.float32] * 3


def test_teaching_makes_an_item(store):
    """An item that is not there comes to be, with none of it in the pantry; one that is there keeps its count."""
    store.put("rice", 3)
    store.teach("rice", examples("rice", 1))
    store.teach("oats", examples("oats", 1))
    assert store.items() == {"oats": 0, "rice": 3}


def test_an_example_that_is_sent_again_is_kept_once(store):
    """A request whose answer was lost may be repeated."""
    store.teach("rice", examples("rice", 1, 2))
    store.teach("rice", examples("rice", 2, 3))
    assert [vector for _, _, vector in seen(store)] == [unit(number).tolist() for number in (1, 2, 3)]


def test_examples_are_forgotten(store):
    """Examples are deleted by id or all at once; another item's examples stay, and so does the item."""
    store.teach("rice", examples("rice", 1, 2, 3))
    store.teach("oats", examples("oats", 1))
    names = [each.id for each in store.examples() if each.item == "rice"]
    assert store.forget("rice", names[:1]) == 1
    left = [vector for item, _, vector in seen(store) if item == "rice"]
    assert left == [unit(number).tolist() for number in (2, 3)]
    assert store.forget("rice") == 2
    assert store.forget("rice") == 0
    assert seen(store) == [("oats", "a model", examples("oats", 1)[0].vector.tolist())]
    assert store.items() == {"oats": 0, "rice": 0}


def test_an_example_of_another_item_is_not_found(store):
    """Nothing is deleted, including the other examples named in the call."""
    store.teach("rice", examples("rice", 1))
    store.teach("oats", examples("oats", 1))
    with pytest.raises(NotFound, match="'oats' has no example"):
        store.forget("oats", [each.id for each in store.examples()])
    assert len(store.examples()) == 2


@pytest.mark.parametrize("key", [None, Key("k", "r")], ids=["without key", "with key"])
def test_an_item_takes_its_examples_with_it(store, opened, key):
    """Deleted and created again, an item has no examples, here and for another client."""
    store.teach("rice", examples("rice", 1, 2))
    store.teach("oats", examples("oats", 1))
    store.delete("rice", key)
    store.put("rice", 1)
    assert {item for item, _, _ in seen(store)} == {"oats"}
    other = opened()
    wait_until(lambda: {item for item, _, _ in seen(other)} == {"oats"})


def test_an_item_has_only_so_many_examples(store):
    """One more is refused, with all that came with it; another item has its own."""
    for first in range(0, MAX_EXAMPLES, 32):
        store.teach("rice", examples("rice", *range(first, first + 32)))
    with pytest.raises(InvalidRequest, match="at most 256"):
        store.teach("rice", examples("rice", -1))
    store.teach("oats", examples("oats", 1))
    assert len(store.examples()) == MAX_EXAMPLES + 1


def test_the_stamp_tells_of_examples(store, opened):
    """The stamp differs after teaching or deleting, here or by another client."""
    other, stamps = opened(), [store.stamp()]
    store.teach("rice", examples("rice", 1))
    stamps.append(store.stamp())
    wait_until(lambda: len(other.examples()) == 1)
    other.forget("rice")
    wait_until(lambda: store.examples() == [])
    stamps.append(store.stamp())
    assert len(set(stamps)) == 3


@pytest.mark.parametrize(
    ("stored", "asked"), [("weißbier", "weissbier"), ("weissbier", "weißbier"), ("μέλοσ", "μέλος"), ("ſoda", "soda")]
)
def test_names_that_differ_by_case_folding_are_one_item(store, stored, asked):
    """Every call reaches the item that is there, and answers with the name that it has."""
    store.put(stored, 3)
    assert store.get(asked) == Item(stored, 3)
    assert store.add(asked, 2) == Item(stored, 5)
    assert store.remove(asked, 1, Key("k", "r")) == Item(stored, 4, removed=1)
    assert store.put(asked, 9) == Item(stored, 9)
    store.teach(asked, examples(asked, 1))
    assert len(store.examples()) == 1
    assert store.items() == {stored: 9}
    assert store.forget(asked) == 1
    store.delete(asked)
    assert store.items() == {}
