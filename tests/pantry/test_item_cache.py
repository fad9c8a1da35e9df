"""The cache of Firestore documents: the later version of each document counts."""

import pytest

from app.pantry import Item
from app.pantry.firestore.items import Entry, Items


def at(second, item="rice", count=1, odd=None):
    return Entry(item, count, (second, 0), odd)


@pytest.fixture
def reports():
    return []


@pytest.fixture
def memory(reports):
    return Items(lambda document_id, odd: reports.append((document_id, odd)))


def test_snapshots_are_taken_in(memory):
    """Documents come, change and go; the items follow, in the order of their names."""
    memory.apply_snapshot({"rice": at(1), "apple": at(1, "apple", 5)}, (1, 0), whole=True)
    assert list(memory.items().items()) == [("apple", 5), ("rice", 1)]
    memory.apply_snapshot({"rice": at(2, count=2), "apple": None}, (2, 0), whole=False)
    assert memory.items() == {"rice": 2}
    assert (memory.get("rice"), memory.get("apple")) == (Item("rice", 2), None)


def test_a_whole_snapshot_is_all_there_is(memory):
    """Documents missing from a complete snapshot are deleted."""
    memory.apply_snapshot({"rice": at(1), "apple": at(1, "apple")}, (1, 0), whole=True)
    memory.apply_snapshot({"apple": at(1, "apple")}, (3, 0), whole=True)
    assert memory.items() == {"apple": 1}


def test_our_change_is_not_undone_by_an_older_snapshot(memory):
    """A snapshot from before our change, arriving after it, changes nothing; a later one does."""
    memory.apply_snapshot({"rice": at(1)}, (1, 0), whole=True)
    memory.wrote("rice", "rice", 5, (3, 0))
    memory.apply_snapshot({"rice": at(2, count=2)}, (2, 0), whole=False)
    assert memory.items() == {"rice": 5}
    memory.apply_snapshot({}, (2, 5), whole=True)
    assert memory.items() == {"rice": 5}
    memory.apply_snapshot({"rice": at(4, count=9)}, (4, 0), whole=False)
    assert memory.items() == {"rice": 9}


def test_our_deletion_is_not_undone_by_an_older_snapshot(memory):
    """A document that we deleted does not come back by a snapshot from before, but does when it is created again."""
    memory.apply_snapshot({"rice": at(1)}, (1, 0), whole=True)
    memory.wrote("rice", "rice", None, (3, 0))
    memory.apply_snapshot({"rice": at(2, count=2)}, (2, 0), whole=False)
    assert memory.items() == {}
    memory.apply_snapshot({"rice": at(4, count=1)}, (4, 0), whole=False)
    assert memory.items() == {"rice": 1}


def test_a_late_acknowledgement_does_not_undo_a_later_change(memory):
    """Our change may be acknowledged after somebody's later change has arrived."""
    memory.apply_snapshot({"rice": at(5, count=7)}, (5, 0), whole=True)
    memory.wrote("rice", "rice", 5, (3, 0))
    assert memory.items() == {"rice": 7}
    memory.wrote("rice", "rice", None, (4, 0))
    assert memory.items() == {"rice": 7}


def test_the_stamp_grows_with_names_alone(memory):
    """A snapshot that brings no new item leaves the stamp, and so do counts and other fields of a document."""
    stamps = [memory.stamp()]
    memory.apply_snapshot({"rice": at(1)}, (1, 0), whole=True)
    stamps.append(memory.stamp())
    memory.apply_snapshot({"rice": at(1)}, (2, 0), whole=True)
    memory.apply_snapshot({"rice": at(3)}, (3, 0), whole=False)
    memory.apply_snapshot({"rice": at(4, count=2)}, (4, 0), whole=False)
    memory.wrote("rice", "rice", 3, (4, 5))
    assert memory.stamp() == stamps[1]
    assert memory.items() == {"rice": 3}
    memory.apply_snapshot({"rice": None}, (5, 0), whole=False)
    stamps.append(memory.stamp())
    assert sorted(set(stamps)) == stamps


def test_an_odd_document_is_reported_once(memory, reports):
    """Sent again and again it is one report; odd in another way, one more."""
    for second in range(3):
        memory.apply_snapshot({"rice": at(second, odd="no count")}, (second, 0), whole=True)
    memory.apply_snapshot({"rice": at(9, odd="a string")}, (9, 0), whole=False)
    assert reports == [("rice", "no count"), ("rice", "a string")]


def test_a_document_that_is_no_item_is_no_item(memory):
    """It is remembered, so that it is counted and reported once, but shows nowhere."""
    memory.apply_snapshot({" ": Entry(None, 0, (1, 0), "blank")}, (1, 0), whole=True)
    assert memory.items() == {}
    assert memory.document("rice") == ("rice", None)


def test_the_document_of_exactly_the_name_goes_first(memory):
    """`Rice` is the item rice until there is a document `rice`; changes go to the visible one."""
    memory.apply_snapshot({"Rice": at(1, count=3), "RICE": at(1, count=4)}, (1, 0), whole=True)
    assert memory.items() == {"rice": 4}
    assert memory.document("rice")[0] == "RICE"
    memory.apply_snapshot({"rice": at(2, count=5)}, (2, 0), whole=False)
    assert memory.items() == {"rice": 5}
    assert memory.document("rice")[0] == "rice"


def test_spellings_of_one_name_are_one_item(memory):
    """The one that is spelled as we write it shows, the first by its id of several; any spelling leads to it."""
    decomposed, composed = "cre\u0300me", "crème"
    memory.apply_snapshot({decomposed: at(1, composed, 3), "weißbier": at(1, "weißbier", 4)}, (1, 0), whole=True)
    assert memory.items() == {composed: 3, "weißbier": 4}
    assert memory.document(composed)[0] == decomposed
    assert memory.get("weissbier") == Item("weißbier", 4)
    assert memory.document("weissbier")[0] == "weißbier"
    memory.apply_snapshot({composed: at(2, composed, 5), "weissbier": at(2, "weissbier", 6)}, (2, 0), whole=False)
    assert memory.items() == {composed: 5, "weissbier": 6}
    assert memory.get(decomposed) == Item(composed, 5)
    assert memory.has("WEISSBIER".lower()) and not memory.has("beer")
