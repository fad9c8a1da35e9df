"""The contract of every content store."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contents import Content, FileFacts, Hit, VectorModel, Where, content_id
from app.contents.metadata import Condition
from app.errors import ContentsError, InvalidRequest, NotFound
from tests.contents.brute import drawn, same
from tests.contents.conftest import MODEL

X, Y, Z = (np.eye(4, dtype=np.float32)[axis] for axis in range(3))


def ids(hits):
    return [hit.id for hit in hits]


def test_a_content_is_put_read_and_deleted(store):
    """A stored entry is read unchanged; a deleted one is neither read, nor found, nor counted."""
    content = Content("a", "image", None, "c", {"n": [1, {"b": None}], "ü": "\n\"'\\"}, thumbnail=b"\xff\xd8 small")
    assert store.put(content, X)
    assert store.get("a") == content
    assert store.search(X, 5) == [Hit("a", "image", 1.0, content.metadata)]
    assert (store.count(), store.count("c"), store.count("d")) == (1, 1, 0)
    store.delete("a")
    assert store.search(X, 5) == []
    assert store.count() == 0
    for call in (store.get, store.delete, lambda id: store.vectors([id])):
        with pytest.raises(NotFound, match="no entry 'a'"):
            call("a")


def test_a_put_replaces(store):
    """After a second put under an id, only the new text, vector and metadata exist."""
    store.put(Content("a", "text", "old", metadata={"n": 1}), X)
    assert not store.put(Content("a", "text", "new", "other", {"n": 2}), Y)
    assert store.get("a").text == "new"
    assert store.search(X, 5, Where(conditions=(Condition("n", "eq", 1),))) == []
    assert store.search(Y, 5)[0].score == 1
    assert (store.count(), store.count("default")) == (1, 0)


def test_an_equal_vector_is_not_added(store):
    """`add` returns the id of the entry that has it, and stores nothing; another vector replaces like `put`."""
    assert store.add(Content("a", "text", "a"), X) is None
    assert store.add(Content("b", "text", "b"), X) == "a"
    assert store.add(Content("a", "text", "again"), X) == "a"
    assert store.get("a").text == "a"
    assert store.add(Content("a", "text", "new"), Y) is None
    assert store.add(Content("b", "text", "b"), X) is None
    assert store.count() == 2


def test_the_best_come_first_and_never_more_than_exist(store):
    """Scores are cosines; a k above the number of entries returns all, and an empty store none."""
    assert store.search(X, 10) == []
    for id, vector in (("far", -X), ("near", X), ("between", (X + Y) / np.sqrt(2))):
        store.put(Content(id, "text", id), vector.astype(np.float32))
    hits = store.search(X, 1000)
    assert ids(hits) == ["near", "between", "far"]
    assert np.allclose([hit.score for hit in hits], [1, 0.70710678, -1], atol=1e-3)
    assert ids(store.search(X, 1)) == ["near"]


def test_vectors_come_in_the_order_asked_for(store):
    """An id may occur twice."""
    store.put(Content("a", "text", "a"), X)
    store.put(Content("b", "text", "b"), Y)
    assert (store.vectors(["b", "a", "b"]) == np.stack([Y, X, Y])).all()


def listed(store, collection=None, limit=3, between=lambda: None):
    """Return the ids of all pages."""
    found, position = [], ""
    while True:
        entries, position = store.page(position, limit, collection)
        found += [entry.content.id for entry in entries]
        between()
        if not position:
            return found


def test_a_list_has_every_entry_once(store):
    """Pages cover all collections or one, each entry with its vector; an empty store has an empty list."""
    assert store.page("", 10) == ([], "")
    for number in range(10):
        store.put(Content(f"{number}", "text", f"{number}", ("one", "two")[number % 2]), (X, Y)[number % 2])
    assert sorted(listed(store)) == [f"{number}" for number in range(10)]
    assert sorted(listed(store, "two", limit=5)) == ["1", "3", "5", "7", "9"]
    entries, _ = store.page("", 1, "two")
    assert entries[0].content == store.get("1")
    assert (entries[0].vector == Y).all()


def test_a_list_misses_nothing_that_stays(store):
    """It is complete even if entries are added, replaced and deleted between its pages."""
    for number in range(12):
        store.put(Content(f"{number:02}", "text", "old"), X)
    numbers = iter(range(100))

    def change():
        number = next(numbers)
        if number < 4:
            store.delete(f"{number:02}")
            store.put(Content(f"{11 - number:02}", "text", "new"), X)
            store.put(Content(f"new {number}", "text", "new"), X)

    assert set(listed(store, between=change)) >= {f"{number:02}" for number in range(4, 12)}


def test_what_is_known_of_a_file_is_kept(store):
    """Pixels, bytes and time are returned with the entry, and the metadata unchanged."""
    content = Content("a", "image", metadata={"a\nb": 1}, file=FileFacts(640, 480, 12_345, 1.5, "0f" * 32))
    store.put(content, X)
    assert store.get("a") == store.page("", 1)[0][0].content == content
    assert store.search(X, 1)[0].metadata == {"a\nb": 1}


def test_a_collection_is_renamed(store):
    """It is done a few entries at a time: they keep everything but its name, and existing entries stay."""
    for number in range(5):
        store.put(
            Content(f"{number}", "text", f"{number}", "old", {"n": number}), drawn(np.random.default_rng(number), 1)[0]
        )
    store.put(Content("other", "text", "other", "new"), X)
    before = store.vectors(["3"])
    assert [store.rename_collection("old", "new", 3) for _ in range(3)] == [3, 2, 0]
    assert (store.count("old"), store.count("new"), store.count()) == (0, 6, 6)
    assert (store.vectors(["3"]) == before).all()
    where = Where(collection="new", conditions=(Condition("n", "eq", 3),))
    assert ids(store.search(X, 9, where)) == ["3"]
    assert listed(store, "old") == []


def test_a_collection_is_deleted(store):
    """Only its entries are deleted, a few at a time; they are neither found nor counted, and their ids are free."""
    for number in range(5):
        store.put(Content(f"{number}", "text", f"{number}", "old"), X)
    store.put(Content("other", "text", "other", "new"), X)
    assert [store.delete_collection("old", 3) for _ in range(3)] == [3, 2, 0]
    assert ids(store.search(X, 9)) == listed(store) == ["other"]
    assert store.count() == 1
    assert store.put(Content("0", "text", "0", "old"), X)


@pytest.mark.parametrize("text", ["'; DROP", '"', "\\", "ü 🥣", "%", "x" * 200, "[0]", "{}", " "])
def test_any_text_is_an_id_a_key_and_a_value(store, text):
    """Special characters of databases have no effect."""
    store.put(Content(text, "text", text, text, {text: text}), X)
    store.put(Content("other", "text", "other", "other", {"other": "other"}), Y)
    where = Where(collection=text, conditions=(Condition(text, "eq", text), Condition(text, "in", (text,))))
    assert ids(store.search(X, 5, where)) == [text]
    assert store.get(text).text == text
    assert ids(store.search(X, 5, Where(without=(text,)))) == ["other"]
    store.delete(text)
    assert ids(store.search(X, 5)) == ["other"]


def test_it_is_there_after_a_restart(opened):
    """A store opened again finds the entries of the first, with the same scores."""
    store, vectors = opened(), drawn(np.random.default_rng(1), 20)
    for number, vector in enumerate(vectors):
        store.put(Content(str(number), "text", str(number)), vector)
    store.delete("3")
    before = store.search(vectors[0], 20)
    store.close()
    again = opened()
    assert same(again.search(vectors[0], 20), before)
    assert again.add(Content("new", "text", "new"), vectors[5]) == "5"


def test_another_model_is_refused(opened):
    """One line has the number of entries, their model, and what to do."""
    store = opened()
    store.put(Content("a", "text", "a"), X)
    store.close()
    with pytest.raises(ContentsError, match="1 (contents|entries) in .*python -m app contents reindex"):
        opened(VectorModel("other", "4567", 4))
    assert opened(VectorModel("renamed", MODEL.checksum, 4)).count() == 1


def test_many_threads_at_once(store):
    """8 threads put, search and delete their own entries: each finds its own changes immediately."""

    def work(thread):
        rng = np.random.default_rng(thread)
        for number, vector in enumerate(drawn(rng, 9)):
            id = f"{thread} {number}"
            store.put(Content(id, "text", id, metadata={"thread": thread}), vector)
            mine = Where(conditions=(Condition("thread", "eq", thread),))
            assert id in ids(store.search(vector, 100, mine))
            if number % 3 == 0:
                store.delete(id)
                assert id not in ids(store.search(vector, 100))
        return number

    # milvus-lite opens its logs at the first writing and the first deletion, not safely for threads
    store.put(Content("first", "text", "first"), drawn(np.random.default_rng(8), 1)[0])
    store.delete("first")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [8] * 8
    assert store.count() == 48


@pytest.mark.parametrize("text", ["", "x" * 201, "a\0b", "a\nb", "\x7f", "\x85", "\ud800"])
def test_an_id_that_is_none_is_refused(text):
    """Empty and over-long ids, control characters and lone surrogates are rejected."""
    with pytest.raises(InvalidRequest, match="1 to 200 characters"):
        content_id(text)


@given(st.text(max_size=210))
def test_an_id_is_kept_as_it_is_or_refused(text):
    """Ids are never normalised: two different ids are two entries."""
    try:
        assert content_id(text) == text
    except InvalidRequest:
        assert not 1 <= len(text) <= 200 or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)
