"""Pages of a search: complete, without repeats, and stable under changes between them, in every store."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contents import Content, Where
from app.contents.paging import SearchQuery, decode_cursor, encode_cursor, search_page
from app.errors import InvalidRequest
from app.model.encoder import unit
from tests.contents.brute import BruteForce, drawn

X = np.eye(4, dtype=np.float32)[0]
EVERYWHERE = Where()


def put(store, *ids, vector=None):
    """Store texts under these ids, near X in the order given."""
    for number, id in enumerate(ids):
        near = unit(np.array([1, 0.1 * (number + 1), 0, 0], np.float32))
        store.put(Content(id, "text", id), near if vector is None else vector)


def pages(store, k, between=lambda page: None, min_score=-1.0):
    """Return the ids of all pages, and run something after each."""
    query, found = SearchQuery(X), []
    while query:
        hits, query = search_page(store, query, k, EVERYWHERE, min_score)
        found.append([hit.id for hit in hits])
        between(len(found))
    return found


def test_pages_together_are_the_whole_list(store):
    """Each page has k hits, the last one what is left, and a page that ends the list says so."""
    put(store, *"abcdefg")
    assert pages(store, 3) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert pages(store, 7) == [["a", "b", "c", "d", "e", "f", "g"]]


def test_nothing_that_is_there_throughout_is_repeated_or_skipped(store):
    """Between pages earlier hits are deleted and better ones are added: the other pages stay as they were."""
    put(store, *"abcdefgh")

    def between(page):
        if page == 1:
            store.delete("a")
            store.delete("f")
            for number in range(20):
                store.put(Content(f"new {number}", "text", "new"), X)

    assert pages(store, 3, between) == [["a", "b", "c"], ["d", "e", "g"], ["h"]]


def test_entries_with_one_score_come_once_each(store):
    """Thirty equal embeddings, more than a page and with the best of all before them, are each in one page."""
    put(store, "best", vector=X)
    put(store, *(f"same {number}" for number in range(30)), vector=unit(np.array([1, 1, 0, 0], np.float32)))
    found = list(chain.from_iterable(pages(store, 4)))
    assert found[0] == "best"
    assert sorted(found[1:]) == sorted(f"same {number}" for number in range(30))


def test_a_least_score_ends_the_list(store):
    """Less similar entries are on no page, and an unreachable score leaves none."""
    put(store, *"abcd")
    put(store, "far", vector=-X)
    assert pages(store, 2, min_score=0.5) == [["a", "b"], ["c", "d"]]
    assert pages(store, 2, min_score=1.0) == [[]]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 9))
def test_any_changes_leave_what_stays(seed, k):
    """With entries added and deleted at random between pages, the permanent ones appear in order, once each."""
    rng, store, number = np.random.default_rng(seed), BruteForce(), 60
    for row, vector in enumerate(drawn(rng, 60).round(1)):  # rounded: many scores are equal
        store.put(Content(str(row), "text", "t"), unit(vector))
    stays = {str(row) for row in range(60)}

    def between(_):
        nonlocal number
        gone = str(rng.integers(60))
        stays.discard(gone)
        store.kept.pop(gone, None)
        store.put(Content(f"new {number}", "text", "t"), drawn(rng, 1)[0])
        number += 1

    found = list(chain.from_iterable(pages(store, k, between)))
    assert len(set(found)) == len(found)
    assert stays <= set(found)


def test_a_cursor_is_read_as_it_was_written():
    """Vector, position and ids are restored bit for bit."""
    query = SearchQuery(drawn(np.random.default_rng(0), 1)[0], ("a", "ü"), 20, 0.7654321, frozenset({"00ff"}))
    again = decode_cursor(encode_cursor(query, "x"), "x", 4)
    assert (again.vector == query.vector).all()
    assert (again.without, again.returned, again.last, again.ties) == (("a", "ü"), 20, 0.7654321, {"00ff"})


@pytest.mark.parametrize(
    "change", [lambda t: "", lambda t: "!" * 40, lambda t: t[:-8], lambda t: "ü" + t, lambda t: t * 2]
)
def test_a_cursor_that_is_none_is_refused(change):
    """An invalid cursor is an error of the request, never of the service."""
    with pytest.raises(InvalidRequest, match="cursor"):
        decode_cursor(change(encode_cursor(SearchQuery(X), "x")), "x", 4)


@pytest.mark.parametrize(
    "query",
    [
        SearchQuery(2 * X),
        SearchQuery(X * np.nan),
        SearchQuery(X, returned=10_000),
        SearchQuery(X, last=np.inf),
        SearchQuery(X, ("a",) * 101),
    ],
)
def test_an_impossible_position_is_refused(query):
    """A forged vector, depth or score is rejected."""
    with pytest.raises(InvalidRequest, match="cursor"):
        decode_cursor(encode_cursor(query, "x"), "x", 4)


def test_a_cursor_of_another_search_is_refused():
    """Other filters would give pages that do not fit together."""
    with pytest.raises(InvalidRequest, match="another search"):
        decode_cursor(encode_cursor(SearchQuery(X), "x"), "y", 4)
