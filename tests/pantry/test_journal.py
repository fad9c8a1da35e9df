"""The journal of every pantry store: its entries, its listeners, and undo."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.errors import Conflict, InvalidRequest, NotFound
from app.pantry import MAX_COUNT, Item, Key
from app.pantry.examples import new_example
from app.pantry.journal import Origin, acting_as
from tests.conftest import wait_until

EXAMPLE = new_example("rice", "a model", np.float32([1, 0]))


def changes(store, **query):
    """The journal, newest first, without ids and times."""
    return [(each.action, each.item, each.before, each.after) for each in store.journal(**query)[0]]


def last(store):
    """Return the id of the newest entry."""
    return store.journal(limit=1)[0][0].id


def test_each_change_of_a_count_is_an_entry(store, opened):
    """With the count before and after, newest first, for every client; a change without effect has no entry."""
    store.put("rice", 3)
    store.put("rice", 3)
    store.add("rice", 2)
    store.remove("rice", 9)
    store.remove("rice", 1)
    store.delete("rice")
    expected = [
        ("delete", "rice", 0, None),
        ("remove", "rice", 5, 0),
        ("add", "rice", 3, 5),
        ("put", "rice", None, 3),
    ]
    assert changes(store) == expected
    assert changes(opened()) == expected


def test_an_entry_says_who_and_when_and_by_which_request(store):
    """It has the origin from the calling context, and the time."""
    start = time.time()
    with acting_as(Origin("kitchen robot", "request 7")):
        store.add("rice", 1)
    store.add("rice", 1)
    (plain, robots), _ = store.journal()
    assert (robots.by, robots.request) == ("kitchen robot", "request 7")
    assert (plain.by, plain.request) == ("", "")
    assert start <= robots.at <= plain.at <= time.time()


@pytest.mark.parametrize("change", [lambda store: store.remove("oats", 1), lambda store: store.delete("oats")])
def test_a_refused_change_is_no_entry(store, change):
    """A refused change changes nothing, so it has no entry."""
    with pytest.raises(NotFound):
        change(store)
    assert changes(store) == []


def test_a_repeated_change_is_one_entry(store):
    """A change that comes again with its key is not journalled again, and no listener hears of it."""
    heard = []
    store.listeners.append(heard.append)
    for _ in range(3):
        store.add("rice", 1, Key("k", "r"))
    assert changes(store) == [("add", "rice", None, 1)]
    assert heard == store.journal()[0]


def test_concurrent_changes_are_all_in_the_journal(store, opened):
    """With two clients and eight threads, each entry begins with the count at which another ended."""
    stores = [store, opened()]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: stores[number % 2].add("rice", 1), range(60)))
    assert sorted((before or 0, after) for _, _, before, after in changes(store)) == [(n, n + 1) for n in range(60)]


def test_listeners_hear_of_committed_changes(store):
    """Each listener gets the journal entry; a failing one disturbs neither the change nor the others."""
    heard = []
    store.listeners += [lambda _: 1 / 0, heard.append]
    store.put("rice", 3)
    store.add("rice", 1)
    store.undo(last(store))
    assert heard[::-1] == [each if each.action != "add" else heard[1] for each in store.journal()[0]]
    assert store.get("rice").count == 3


def test_the_journal_comes_by_page(store):
    """Every entry is on one page, also where new ones come in between; an invalid cursor is refused."""
    for number in range(5):
        store.put("rice", number)
    first, cursor = store.journal(limit=2)
    store.put("rice", 9)
    second, cursor = store.journal(cursor, limit=2)
    third, end = store.journal(cursor, limit=2)
    assert [each.after for each in first + second + third] == [4, 3, 2, 1, 0]
    assert end is None
    assert store.journal(limit=6)[1] is None
    with pytest.raises(InvalidRequest, match="not one of this service"):
        store.journal("wrong/cursor")


def test_the_journal_of_one_item(store):
    """It works for any spelling of the name, page by page, also after the item was deleted."""
    for item in ("weißbier", "rice", "weissbier"):
        store.add(item, 1)
    store.delete("weißbier")
    assert changes(store, item="WEISSBIER") == [
        ("delete", "weißbier", 2, None),
        ("add", "weißbier", 1, 2),
        ("add", "weißbier", None, 1),
    ]
    page, cursor = store.journal(item="rice", limit=1)
    assert (len(page), cursor) == (1, None)


def put(count):
    return lambda store: store.put("rice", count)


def add(quantity):
    return lambda store: store.add("rice", quantity)


def remove(quantity):
    return lambda store: store.remove("rice", quantity)


def delete(store):
    store.delete("rice")


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ([put(3)], add(2), {"rice": 3}),
        ([put(3)], remove(2), {"rice": 3}),
        ([put(3)], remove(9), {"rice": 3}),
        ([put(3)], put(7), {"rice": 3}),
        ([put(3)], delete, {"rice": 3}),
        ([], put(0), {}),
        ([], add(2), {}),
    ],
    ids=["add", "remove", "remove too many", "put", "delete", "an item without count", "a new item"],
)
def test_undo_brings_back_what_was(store, before, change, after):
    """Counts and the existence of the item are restored; the undo is an entry that names the undone one."""
    for each in before:
        each(store)
    change(store)
    id = last(store)
    undo = store.undo(id)
    assert store.items() == after
    entries, _ = store.journal()
    undone = next(each for each in entries if each.id == id)
    assert entries[0] == undo
    assert (undo.action, undo.undoes, undone.undone_by) == ("undo", id, undo.id)
    assert (undo.before, undo.after) == (undone.after, undone.before)


@pytest.mark.parametrize(
    ("change", "later", "after"),
    [
        (add(2), add(1), {"rice": 4}),
        (put(9), remove(2), {"rice": 1}),
        (remove(2), put(5), {"rice": 7}),
        (delete, add(1), {"rice": 4}),
    ],
)
def test_undo_leaves_later_changes(store, change, later, after):
    """Later changes of the item stay."""
    store.put("rice", 3)
    change(store)
    id = last(store)
    later(store)
    store.undo(id)
    assert store.items() == after


@pytest.mark.parametrize(
    ("change", "later", "reason"),
    [
        (add(2), put(1), "it would take 2 'rice', and 1 are left"),
        (add(2), delete, "'rice' was deleted since"),
        (remove(2), delete, "'rice' was deleted since"),
        (remove(2), put(MAX_COUNT), "more than 1,000,000,000"),
    ],
)
def test_undo_is_refused_where_the_count_does_not_allow_it(store, change, later, reason):
    """With the reason, and nothing is changed; when the count allows it again, it is undone."""
    store.put("rice", 3)
    change(store)
    id = last(store)
    later(store)
    before, entries = store.items(), changes(store)
    with pytest.raises(Conflict, match=reason):
        store.undo(id)
    assert (store.items(), changes(store)) == (before, entries)
    store.put("rice", 5)
    store.undo(id)


def test_an_item_that_was_taught_stays(store):
    """Undoing the change that brought it leaves its examples and the count 0."""
    store.add("rice", 2)
    id = last(store)
    store.teach("rice", [EXAMPLE])
    store.undo(id)
    assert store.items() == {"rice": 0}
    assert len(store.examples()) == 1


def test_undo_happens_once(store, opened):
    """The second time it is refused and names the first, here and by another client."""
    store.put("rice", 3)
    store.add("rice", 2)
    id = last(store)
    undo = store.undo(id)
    for client in (store, opened()):
        with pytest.raises(Conflict, match=f"change {id} was undone before, by change {undo.id}"):
            client.undo(id)
    assert store.items() == {"rice": 3}


def test_undo_at_once_happens_once(store, opened):
    """One of eight concurrent undos of one change by two clients succeeds."""
    store.put("rice", 3)
    store.add("rice", 1)
    id, stores = last(store), [store, opened()]

    def undo(number):
        try:
            return stores[number % 2].undo(id)
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        done = [each for each in pool.map(undo, range(8)) if each]
    assert len(done) == 1
    wait_until(lambda: store.items() == {"rice": 3})


def test_an_undo_can_be_undone(store):
    """An undo is a change like any other."""
    store.put("rice", 3)
    store.add("rice", 2)
    first = store.undo(last(store))
    store.undo(first.id)
    assert store.items() == {"rice": 5}


def test_an_undo_with_a_key_happens_once(store, opened):
    """Sent again, it gets the first answer; a key that came with another request is refused."""
    store.put("rice", 3)
    store.add("rice", 2)
    id, key = last(store), Key("k", "the request")
    undo = store.undo(id, key)
    assert store.undo(id, key) == opened().undo(id, key) == undo
    assert store.items() == {"rice": 3}
    with pytest.raises(InvalidRequest, match="another request before"):
        store.undo(id, Key("k", "another"))
    assert store.add("rice", 1, Key("k2", "the request")) == Item("rice", 4)


@pytest.mark.parametrize("id", ["0", "7", "no", "", "../x", "9" * 40])
def test_an_unknown_entry_is_not_found(store, id):
    """The id may be any text."""
    with pytest.raises(NotFound, match="the journal has no change"):
        store.undo(id)


def test_old_entries_are_not_there(store, monkeypatch):
    """Entries beyond the retention are neither listed nor undone."""
    store.put("rice", 3)
    id = last(store)
    for module in ("sqlite", "firestore"):
        monkeypatch.setattr(f"app.pantry.{module}.journal.JOURNAL_KEPT_S", -1)
    assert changes(store) == []
    with pytest.raises(NotFound, match="it keeps 90 days"):
        store.undo(id)
