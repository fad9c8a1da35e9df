"""The index is exact, or nearly so, during any adds, removals and rebuilds."""

import numpy as np
import pytest

from app.contents.index import IndexOptions, VectorIndex
from app.contents.segment import Codes
from app.model.encoder import unit
from harness.vectors import drawn_vectors
from tests.conftest import wait_until
from tests.contents.brute import drawn

SMALL = IndexOptions(tail=100, exact_up_to=300)


@pytest.fixture
def index():
    index = VectorIndex(16, SMALL)
    yield index
    index.close()


def settle(index):
    """Wait until no background work runs."""
    wait_until(lambda: not (index._merging and index._merging.is_alive()))


def exact(vectors, query, k):
    """Return numbers and scores from comparing with every vector of a dictionary."""
    numbers = np.array(sorted(vectors), np.int64)
    scores = np.array([vectors[number] @ query for number in numbers], np.float32)
    best = np.argsort(-scores, kind="stable")[:k]
    return numbers[best], scores[best]


def test_random_changes_against_every_vector(index):
    """With 1,500 adds and 600 removals, filtered answers are exact, and no vector is duplicated or lost."""
    rng, kept, number = np.random.default_rng(0), {}, 0
    for _ in range(150):
        new = [(number + offset, vector) for offset, vector in enumerate(drawn(rng, 10, 16))]
        gone = [int(each) for each in rng.choice(sorted(kept), 4, replace=False)] if len(kept) > 10 else []
        number += 10
        index.change(new, gone)
        kept = {each: vector for each, vector in (kept | dict(new)).items() if each not in gone}
        query, k = drawn(rng, 1, 16)[0], int(rng.integers(1, 30))
        among = np.array(sorted(rng.choice(sorted(kept), min(len(kept), 60), replace=False)), np.int64)
        found, reached = index.view.search(query, k, among)
        numbers, scores = exact({each: kept[each] for each in among}, query, k)
        assert np.allclose(reached, scores, atol=2e-3)
        assert len(set(found) - set(numbers)) <= 1
        everything, _ = index.view.search(query, 5000)
        assert sorted(everything) == sorted(kept)
    settle(index)
    assert index.view.segment.codes
    assert len(index.view.segment) + len(index.view.tail) < number  # what was removed has been cleared away


def test_among_numbers_that_are_not_there_nothing_is_found(index):
    """A search among given numbers returns only those that exist."""
    vectors = drawn(np.random.default_rng(0), 150, 16)
    index.change(list(enumerate(vectors)), [3, 140])
    settle(index)
    assert set(index.view.search(vectors[0], 5, np.array([1, 2, 3, 140, 149, 777]))[0]) == {1, 2, 149}
    assert index.view.search(vectors[0], 5, np.array([], np.int64))[0].size == 0


def test_an_index_that_is_emptied(index):
    """With every vector removed nothing is found, and adding still works."""
    vectors = drawn(np.random.default_rng(0), 250, 16)
    index.change(list(enumerate(vectors)), [])
    settle(index)
    index.change([], list(range(250)))
    settle(index)
    assert index.view.search(vectors[0], 5)[0].size == 0
    index.change([(250 + number, vector) for number, vector in enumerate(vectors)], [])
    assert index.view.search(vectors[7], 1)[0] == [257]


def test_it_begins_with_what_there_is(index):
    """Loaded in chunks, it answers at once, and soon faster."""
    vectors = unit(np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32))
    index.load(np.arange(5, 1005), iter(np.split(vectors, 10)))
    assert index.view.search(vectors[500], 1)[0] == [505]
    settle(index)
    assert index.view.segment.codes
    assert index.view.search(vectors[500], 1)[0] == [505]


def test_what_was_added_is_found_while_the_index_is_made_anew(index):
    """Every vector finds itself immediately, and removed ones are not found, through three swaps and more."""
    rng, swaps, seen, number = np.random.default_rng(0), 0, index.view.segment, 0
    while swaps < 3 or number < 3000:
        (vector,) = drawn(rng, 1, 16)
        index.change([(number, vector)], [number - 1] if number % 3 == 0 and number else [])
        assert index.view.search(vector, 1)[0] == [number]
        if number % 3 == 0 and number:
            assert number - 1 not in index.view.search(vector, 20)[0]
        if index.view.segment is not seen:
            swaps, seen = swaps + 1, index.view.segment
        number += 1
        assert number < 100_000, "the index is not rebuilt"


def test_a_failure_to_make_it_anew_is_survived(index, monkeypatch, capfd):
    """Searches continue in the tail, and the rebuild is retried later."""
    with monkeypatch.context() as patch:
        patch.setattr("app.contents.segment.flat", lambda *_: 1 / 0)
        vectors = drawn(np.random.default_rng(0), 250, 16)
        index.change(list(enumerate(vectors[:150])), [])
        settle(index)
        assert "cannot be rebuilt" in "".join(capfd.readouterr())
        assert index.view.search(vectors[77], 1)[0] == [77]
    index.change(list(enumerate(vectors[150:], start=150)), [])
    settle(index)
    assert len(index.view.segment) == 250


def recall(index, vectors, queries, alive=None):
    """The share of the ten nearest of the alive vectors that the index finds, over all queries."""
    scores = queries @ vectors.T
    if alive is not None:
        scores[:, ~alive] = -9
    wanted = np.argsort(-scores, axis=1)[:, :10]
    found = [set(index.view.search(query, 10)[0]) for query in queries]
    return np.mean([len(one & set(other)) / 10 for one, other in zip(found, wanted, strict=True)])


@pytest.fixture(scope="module")
def clustered():
    """30,000 vectors in 150 clusters, and the centres of these."""
    rng = np.random.default_rng(0)
    centres = unit(rng.normal(size=(150, 64)).astype(np.float32))
    vectors = unit(centres[rng.integers(0, 150, 30_000)] + 0.06 * rng.normal(size=(30_000, 64)).astype(np.float32))
    return vectors.astype(np.float16).astype(np.float32), centres


def filled(vectors):
    """Return an index with codes."""
    index = VectorIndex(vectors.shape[1])
    index.load(np.arange(len(vectors)), [vectors])
    settle(index)
    assert index.view.segment.codes
    return index


@pytest.mark.parametrize(("regions", "deleted"), [(1, 300), (1, 2000), (3, 2000), (20, 300)])
def test_the_neighbours_of_a_deleted_region_are_found(clustered, regions, deleted):
    """With the nearest 300 or 2,000 of some queries deleted, the next ten are found; others are unaffected."""
    vectors, centres = clustered
    index, alive = filled(vectors), np.ones(len(vectors), bool)
    segment = index.view.segment
    for query in centres[:regions]:
        scores = vectors @ query
        scores[~alive] = -9
        gone = np.argsort(-scores)[:deleted]
        index.change([], gone)
        alive[gone] = False
    assert index.view.segment is segment
    assert recall(index, vectors, centres[:regions], alive) >= 0.99
    assert recall(index, vectors, centres[50:], alive) >= 0.99
    assert len(index.view.search(centres[0], 1000)[0]) == 1000
    index.close()


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_a_region_that_is_thinned_out_is_searched_further(clustered, share):
    """With most vectors of whole clusters deleted, what is left of them is compared with what lies beyond."""
    vectors, centres = clustered
    index, alive = filled(vectors), np.ones(len(vectors), bool)
    near = np.argmax(vectors @ centres.T, axis=1) < 30
    alive[near] = np.random.default_rng(1).random(near.sum()) > share
    index.change([], np.flatnonzero(~alive))
    assert recall(index, vectors, centres[:30], alive) >= 0.99
    index.close()


def test_queries_from_elsewhere_find_their_neighbours(clustered):
    """Texts are far from pictures: a query far from all vectors compares with as many as needed."""
    vectors, centres = clustered
    index, rng = filled(vectors), np.random.default_rng(2)
    elsewhere = unit(rng.normal(size=64).astype(np.float32))
    texts = unit(0.3 * centres[:100] + elsewhere + 0.02 * rng.normal(size=(100, 64)).astype(np.float32))
    noise = unit(rng.normal(size=(100, 64)).astype(np.float32))
    assert recall(index, vectors, texts) >= 0.99
    assert recall(index, vectors, noise) >= 0.99
    index.close()


def test_tombstones_are_counted_once(index):
    """Removing a number twice, or a missing one, does not change the count of live vectors."""
    vectors = drawn(np.random.default_rng(0), 150, 16)
    index.change(list(enumerate(vectors)), [])
    settle(index)
    for gone in ([3, 7], [7, 3, 140], [3, 777]):
        index.change([], gone)
    assert index.view.segment_alive.total == 147
    assert index.view.numbers().tolist() == [number for number in range(150) if number not in (3, 7, 140)]


@pytest.mark.parametrize(("structure", "share"), [("clusters", 0.5), ("none", 1)])
def test_codes_rank_what_is_compared(structure, share, monkeypatch):
    """With clustered vectors a part is compared exactly; without structure, as many as needed."""
    vectors = drawn_vectors(20_300, 64) if structure == "clusters" else drawn(np.random.default_rng(0), 20_300, 64)
    index = VectorIndex(64, SMALL)
    index.load(np.arange(20_100), [vectors[:20_100]])
    settle(index)
    ranked = []
    best = Codes.best
    monkeypatch.setattr(Codes, "best", lambda codes, query, count: ranked.append(count) or best(codes, query, count))
    assert recall(index, vectors[:20_100], vectors[20_100:]) >= 0.99
    assert np.median(ranked) <= share * 20_100
    index.close()


@pytest.mark.parametrize("size", [1, 6, 63])
def test_any_number_of_dimensions_has_codes(size):
    """Dimensions that are not multiples of four work too."""
    vectors = drawn(np.random.default_rng(0), 3000, size)
    index = VectorIndex(size, SMALL)
    index.load(np.arange(3000), [vectors])
    settle(index)
    assert index.view.segment.codes
    _, scores = index.view.search(vectors[5], 10)
    assert np.allclose(scores, exact(dict(enumerate(vectors)), vectors[5], 10)[1], atol=2e-3)
    index.close()


def test_a_view_stays_as_it_was(index):
    """A view answers as at the moment it was taken, after any adds, removals and rebuilds."""
    vectors = drawn(np.random.default_rng(0), 100, 16)
    for first in (0, 1000, 2000, 3000):
        index.change(list(enumerate(vectors, start=first)), [])
        settle(index)
        view, before = index.view, index.view.search(vectors[0], 1000)
        gone = set(range(first, first + 50))
        index.change(list(enumerate(vectors, start=first + 500)), list(gone))
        settle(index)
        for now, then in zip(view.search(vectors[0], 1000), before, strict=True):
            assert (now == then).all()
        assert not gone & set(index.view.search(vectors[0], 1000)[0])
