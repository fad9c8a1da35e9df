"""Groups of near-duplicates, compared with an exhaustive search, and the entry to keep."""

import numpy as np
import pytest

from app.contents import Content, FileFacts, Where
from app.contents.duplicates import DISTANCES, DisjointSets, Distance, find_duplicates, near_pairs
from app.model.encoder import unit
from tests.contents.brute import drawn

EVERYWHERE = Where()
X, Y = np.eye(4, dtype=np.float32)[:2]


def turned(degrees):
    """Return X rotated towards Y."""
    return (np.cos(np.radians(degrees)) * X + np.sin(np.radians(degrees)) * Y).astype(np.float32)


def found(store, threshold=0.95, where=EVERYWHERE):
    groups = find_duplicates(store, where, Distance(threshold), lambda share: None)
    return [[member.content.id for member in group.members] for group in groups]


def put(store, id, vector, file=None, **more):
    store.put(Content(id, "image", file=file, **more), vector)


def test_a_chain_is_one_group(store):
    """Entries connected by near pairs are one group, even with distant ends; others are in no group."""
    for id, degrees in (("a", 0), ("b", 15), ("c", 30), ("far", 90)):
        put(store, id, turned(degrees))
    assert [sorted(group) for group in found(store)] == [["a", "b", "c"]]
    assert found(store, 0.99) == []


def test_the_closest_groups_come_first(store):
    """Equal entries of another collection or kind are excluded on request."""
    for id, degrees in (("a", 0), ("b", 10), ("c", 90), ("d", 91)):
        put(store, id, turned(degrees), collection="one")
    put(store, "e", turned(90), collection="two")
    store.put(Content("text", "text", "t", "one"), turned(90))
    assert [sorted(group) for group in found(store, 0.98)] == [["c", "d", "e", "text"], ["a", "b"]]
    assert sorted(found(store, 0.98, Where("image", "one"))[0]) == ["c", "d"]
    assert found(store, 0.98, Where("image", "two")) == []


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ((FileFacts(10, 10, 900, 1), FileFacts(20, 20, 100, 2)), "most pixels: 20 x 20, the next has 10 x 10"),
        ((FileFacts(20, 10, 100, 1), FileFacts(10, 20, 900, 2)), "largest file: 900 bytes, the next has 100"),
        ((FileFacts(10, 10, 100, 2), FileFacts(10, 10, 100, 1)), "stored first"),
        ((None, FileFacts(1, 1, 1, 1)), "the only one with a known size"),
    ],
)
def test_the_best_is_kept_and_why(store, files, why):
    """The order is most pixels, then most bytes, then oldest; an unknown size is last."""
    for id, file in zip(("worse", "better"), files, strict=True):
        put(store, id, X, file)
    (group,) = find_duplicates(store, EVERYWHERE, Distance(0.9), lambda share: None)
    assert [member.content.id for member in group.members] == ["better", "worse"]
    assert why in group.why


def found_copies(store):
    groups = find_duplicates(store, EVERYWHERE, DISTANCES["copy"], lambda share: None)
    return [sorted(member.content.id for member in group.members) for group in groups]


def test_copies_have_nearly_the_same_fingerprint(store):
    """Equal embeddings are not copies if the hashes differ; if one is missing, the embeddings decide."""
    for id, digits in (("a", "f0" * 32), ("b", "f0" * 31 + "f7"), ("other", "0f" * 32)):
        put(store, id, X, FileFacts(1, 1, 1, 1, digits))
    assert found_copies(store) == [["a", "b"]]
    put(store, "unknown", turned(5))
    assert found_copies(store) == [["a", "b", "other", "unknown"]]


def test_without_entries_there_are_no_groups(store):
    """A single entry has no group either."""
    assert found(store) == []
    put(store, "a", X)
    assert found(store) == []


def test_every_pair_of_many_entries_is_found():
    """Among 12,000 vectors in clusters, lists find 99 % of the pairs of an exhaustive comparison, and no others."""
    rng = np.random.default_rng(0)
    centres = drawn(rng, 3000, 32)
    vectors = unit(centres[rng.integers(0, 3000, 12_000)] + 0.06 * drawn(rng, 12_000, 32)).astype(np.float16)
    pairs = {pair for found in near_pairs(vectors, 0.99) for pair in zip(found.some, found.others, strict=True)}
    cosines = vectors.astype(np.float32) @ vectors.astype(np.float32).T
    np.fill_diagonal(cosines, 0)
    expected = set(zip(*np.nonzero(cosines >= 0.99), strict=True))
    assert len(expected) > 10_000
    assert not pairs - expected
    assert len(pairs & expected) >= 0.99 * len(expected)


def test_sets_are_those_of_a_slow_search():
    """Random pairs, many with one number in common, join what a search from neighbour to neighbour finds."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        some, others = rng.integers(0, 40, (2, rng.integers(1, 40)))
        sets = DisjointSets(40)
        sets.join(some, others)
        slow = list(range(40))
        for _ in range(40):
            for one, other in zip(some, others, strict=True):
                slow[one] = slow[other] = min(slow[one], slow[other])
        assert sets.roots(np.arange(40)).tolist() == slow


def test_progress_rises_to_one_and_may_end_it(store):
    """The progress callback may raise, and nothing is left behind."""
    for number in range(10):
        put(store, f"{number}", X)
    shares = []
    find_duplicates(store, EVERYWHERE, Distance(0.9), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def stop(share):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find_duplicates(store, EVERYWHERE, Distance(0.9), stop)
