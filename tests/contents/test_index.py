"""The index: exact or nearly so, whatever was added, removed and made anew meanwhile."""

import numpy as np
import pytest

from app.contents import index as index_module
from app.contents import segment as segment_module
from app.contents.index import VectorIndex
from app.encoder import unit
from benchmarks.vectors import drawn_vectors
from tests.conftest import wait_until
from tests.contents.brute import drawn


@pytest.fixture
def small(monkeypatch):
    """Segments of hundreds instead of thousands."""
    monkeypatch.setattr(index_module, "TAIL", 100)
    monkeypatch.setattr(segment_module, "EXACT_UP_TO", 300)


@pytest.fixture
def index():
    index = VectorIndex(16, threads=2)
    yield index
    index.close()


def settle(index):
    """Wait until nothing runs in the background."""
    wait_until(lambda: not (index._merging and index._merging.is_alive()), seconds=30)


def exact(vectors, query, k):
    """Numbers and scores by comparing with every vector of a dictionary."""
    numbers = np.array(sorted(vectors), np.int64)
    scores = np.array([vectors[number] @ query for number in numbers], np.float32)
    best = np.argsort(-scores, kind="stable")[:k]
    return numbers[best], scores[best]


def test_random_changes_against_every_vector(small, index):
    """1,500 adds and 600 removes: among chosen numbers the answer is exact, among all nothing is doubled or lost."""
    rng, kept, number = np.random.default_rng(0), {}, 0
    for _ in range(150):
        new = [(number + offset, vector) for offset, vector in enumerate(drawn(rng, 10, 16))]
        gone = [int(each) for each in rng.choice(sorted(kept), 4, replace=False)] if len(kept) > 10 else []
        number += 10
        index.change(new, gone)
        kept = {each: vector for each, vector in (kept | dict(new)).items() if each not in gone}
        query, k = drawn(rng, 1, 16)[0], int(rng.integers(1, 30))
        among = np.array(sorted(rng.choice(sorted(kept), min(len(kept), 60), replace=False)), np.int64)
        found = index.search(query, k, among)
        numbers, scores = exact({each: kept[each] for each in among}, query, k)
        assert np.allclose(found.scores, scores, atol=2e-3)
        assert found.among == len(among)
        assert len(set(found.numbers) - set(numbers)) <= 1
        everything = index.search(query, 5000)
        assert sorted(everything.numbers) == sorted(kept)
    settle(index)
    segment, tail = index._view
    assert segment.index.nlist > 1
    assert len(segment) + len(tail) < number  # what was removed has been cleared away


def test_numbers_that_are_not_there_are_not_counted(small, index):
    """Whoever asks among numbers hears how many of them were there."""
    vectors = drawn(np.random.default_rng(0), 150, 16)
    index.change(list(enumerate(vectors)), [3, 140])
    settle(index)
    assert index.search(vectors[0], 5, np.array([1, 2, 3, 140, 149, 777])).among == 3
    assert index.search(vectors[0], 5, np.array([], np.int64)).numbers.size == 0


def test_an_index_that_is_emptied(small, index):
    """With every vector removed nothing is found, and it goes on."""
    vectors = drawn(np.random.default_rng(0), 250, 16)
    index.change(list(enumerate(vectors)), [])
    settle(index)
    index.change([], list(range(250)))
    settle(index)
    assert index.search(vectors[0], 5).numbers.size == 0
    index.change([(250 + number, vector) for number, vector in enumerate(vectors)], [])
    assert index.search(vectors[7], 1).numbers == [257]


def test_it_begins_with_what_there_is(small, index):
    """Loaded in chunks, it answers at once, and better soon."""
    vectors = unit(np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32))
    index.load(np.arange(5, 1005), iter(np.split(vectors, 10)))
    assert index.search(vectors[500], 1).numbers == [505]
    settle(index)
    assert index._view.segment.index.nlist > 1
    assert index.search(vectors[500], 1).numbers == [505]


def test_what_was_added_is_found_while_the_index_is_made_anew(small, index):
    """During twenty swaps every vector is found at once by itself, and what was removed is not."""
    rng, swaps, seen = np.random.default_rng(0), 0, index._view.segment
    for number, vector in enumerate(drawn(rng, 3000, 16)):
        index.change([(number, vector)], [number - 1] if number % 3 == 0 and number else [])
        assert index.search(vector, 1).numbers == [number]
        if number % 3 == 0 and number:
            assert number - 1 not in index.search(vector, 20).numbers
        if index._view.segment is not seen:
            swaps, seen = swaps + 1, index._view.segment
    assert swaps >= 3


def test_a_failure_to_make_it_anew_is_survived(small, index, monkeypatch, capfd):
    """Searches go on in the tail, and it is tried again later."""
    with monkeypatch.context() as patch:
        patch.setattr(segment_module, "flat", lambda *_: 1 / 0)
        vectors = drawn(np.random.default_rng(0), 250, 16)
        index.change(list(enumerate(vectors[:150])), [])
        settle(index)
        assert "cannot be made anew" in "".join(capfd.readouterr())
        assert index.search(vectors[77], 1).numbers == [77]
    index.change(list(enumerate(vectors[150:], start=150)), [])
    settle(index)
    assert len(index._view.segment) == 250


def recall(index, vectors, queries):
    found = [set(index.search(query, 10).numbers) for query in queries]
    wanted = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    return np.mean([len(one & set(other)) / 10 for one, other in zip(found, wanted, strict=True)])


@pytest.mark.parametrize(("structure", "share"), [("clusters", 0.5), ("none", 1)])
def test_it_looks_into_as_many_lists_as_it_takes(small, structure, share):
    """Of vectors in clusters a few lists hold the neighbours; of vectors without structure, all of them do."""
    vectors = drawn_vectors(6300, 64) if structure == "clusters" else drawn(np.random.default_rng(0), 6300, 64)
    index = VectorIndex(64, threads=1)
    index.load(np.arange(6100), [vectors[:6100]])
    settle(index)
    lists = index._view.segment.index
    assert lists.nlist > 100
    assert lists.nprobe <= share * lists.nlist
    assert recall(index, vectors[:6100], vectors[6100:]) >= 0.99
    index.close()
