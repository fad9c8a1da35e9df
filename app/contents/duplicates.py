"""Near-duplicates: group entries that are connected by similar embeddings and similar pictures.

Pairs are compared within k-means lists and between near ones, block by block; union-find joins them into groups. The
embeddings are in a temporary file meanwhile, so memory is bounded: some 100 bytes per entry beside the blocks.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from app.contents import Content, ContentStore, Flags, Numbers, Where
from app.errors import NotFound
from app.model.engines import Floats

UNSEEN_COPY = 0.98  # least cosine similarity of a copy if a fingerprint is missing
ONE_LIST = 5_000  # entries up to which all pairs are compared
SAMPLE_PER_LIST = 40  # vectors per list that k-means is trained on; FAISS warns about fewer
NEAR_LISTS = 8  # lists that each list is compared with, including itself
BLOCK = 256  # rows compared at once
HASH_BYTES = 32
MAX_GROUPS = 10_000
MAX_MEMBERS = 1_000  # of a group that are listed

Fingerprints = npt.NDArray[np.uint64]  # (N, 4)
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Distance:
    """A distance: the least cosine similarity, and how many bits of the fingerprints may differ."""

    cosine: float
    bits: int | None = None


# measured on photographs by larder-small: docs/decisions/0033-duplicates.md
DISTANCES = {"copy": Distance(0.85, bits=24), "scene": Distance(0.93), "alike": Distance(0.85)}


@dataclass(frozen=True)
class Member:
    """An entry of a group; `score` is its cosine similarity to the one to keep."""

    content: Content
    score: float


@dataclass(frozen=True)
class Group:
    """Near-duplicates, the one to keep first; `size` also counts the members that are not listed."""

    members: Sequence[Member]
    size: int
    why: str
    """The reason to keep the first."""


class DisjointSets:
    """Disjoint sets of the numbers 0 to n - 1, initially singletons (union-find).

    >>> sets = DisjointSets(4)
    >>> sets.join(np.array([0, 3]), np.array([3, 2]))
    >>> sets.roots(np.arange(4)).tolist()
    [0, 1, 0, 0]
    """

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count)

    def roots(self, items: Numbers) -> Numbers:
        """Return for each item the least number of its set."""
        above = self._parent[items]
        while not np.array_equal(higher := self._parent[above], above):
            above = higher
        self._parent[items] = above
        return above

    def join(self, some: Numbers, others: Numbers) -> None:
        """Unite the sets of `some` and `others`, pair by pair."""
        while len(some):
            some, others = self.roots(some), self.roots(others)
            apart = some != others
            some, others = some[apart], others[apart]
            # of several pairs with the same root only one may take effect: the others are retried
            self._parent[np.maximum(some, others)] = np.minimum(some, others)


def find_duplicates(
    store: ContentStore, where: Where, distance: Distance, progress: Progress, folder: Path | None = None
) -> list[Group]:
    """Return the groups, the closest first, at most MAX_GROUPS; the temporary file is in `folder`.

    `progress` is called with the share that is done, and may raise to stop.
    """
    with _collected(store, where, progress, folder) as (ids, vectors, fingerprints):
        if len(ids) < 2:
            return []
        sets = DisjointSets(len(ids))
        for pairs in near_pairs(vectors, distance.cosine):
            near = _look_alike(pairs, fingerprints, distance)
            sets.join(pairs.some[near], pairs.others[near])
            progress(0.1 + 0.8 * pairs.done)
        groups = _groups(sets.roots(np.arange(len(ids))), vectors)
        found = []
        for done, rows in enumerate(groups):
            if group := _described(store, [ids[row] for row in rows[:MAX_MEMBERS]], len(rows)):
                found.append(group)
            progress(0.9 + 0.1 * done / len(groups))
    progress(1.0)
    return found


class Pairs(NamedTuple):
    """Near pairs of rows, their cosine similarities (n,), and the share of all work that is done."""

    some: Numbers
    others: Numbers
    cosines: Floats
    done: float


def near_pairs(vectors: Any, threshold: float) -> Iterator[Pairs]:
    """Yield pairs of rows of unit vectors (N, D) whose cosine similarity reaches a threshold.

    Up to ONE_LIST vectors all pairs are compared; above, pairs in distant lists are missed.
    """
    count = len(vectors)
    lists, near = _lists(vectors) if count > ONE_LIST else ([np.arange(count)], [np.array([0])])
    done = 0
    for own, neighbours in zip(lists, near, strict=True):
        rows = np.concatenate([lists[each] for each in neighbours])
        against = vectors[rows].astype(np.float32)
        for start in range(0, len(own), BLOCK):
            block = own[start : start + BLOCK]
            cosines = vectors[block].astype(np.float32) @ against.T
            found, columns = np.nonzero(cosines >= threshold)
            apart = block[found] != rows[columns]
            found, columns = found[apart], columns[apart]
            done += len(block)
            yield Pairs(block[found], rows[columns], cosines[found, columns], done / count)


def _look_alike(pairs: Pairs, fingerprints: Fingerprints, distance: Distance) -> Flags:
    """Return whether each pair's fingerprints differ in few bits; if one is missing, the cosine similarity decides."""
    if distance.bits is None:
        return np.ones(len(pairs.some), bool)
    some, others = fingerprints[pairs.some], fingerprints[pairs.others]
    known = some.any(axis=1) & others.any(axis=1)
    differ = np.bitwise_count(some ^ others).sum(axis=1)
    alike: Flags = np.where(known, differ <= distance.bits, pairs.cosines >= UNSEEN_COPY)
    return alike


def _lists(vectors: Any) -> tuple[list[Numbers], Numbers]:
    """Return the rows of each k-means list, and for each list the nearest ones (lists, NEAR_LISTS), itself first."""
    from app.contents.segment import CHUNK, centroids_of  # FAISS is imported only when needed

    count = len(vectors)
    wanted = round(2 * count**0.5)
    sample = np.sort(np.random.default_rng(0).permutation(count)[: wanted * SAMPLE_PER_LIST])
    centroids = centroids_of(vectors[sample].astype(np.float32), wanted, SAMPLE_PER_LIST)
    nearest = [_nearest(centroids, vectors[start : start + CHUNK], 1)[:, 0] for start in range(0, count, CHUNK)]
    list_of = np.concatenate(nearest)
    order = np.argsort(list_of, kind="stable")
    ends = np.searchsorted(list_of[order], np.arange(1, len(centroids)))
    return np.split(order, ends), _nearest(centroids, centroids, min(NEAR_LISTS, len(centroids)))


def _nearest(centroids: Floats, vectors: Any, most: int) -> Numbers:
    """Return for each vector (n, D) the nearest centroids (n, most), unordered."""
    far = (centroids**2).sum(axis=1) - 2 * vectors.astype(np.float32) @ centroids.T  # squared distances without |v|^2
    return np.argmin(far, axis=1)[:, None] if most == 1 else np.argpartition(far, most - 1, axis=1)[:, :most]


@contextmanager
def _collected(
    store: ContentStore, where: Where, progress: Progress, folder: Path | None
) -> Iterator[tuple[list[str], Any, Fingerprints]]:
    """Yield ids, their vectors (N, D) as a memory-mapped float16 file that is deleted afterwards, and fingerprints.

    A missing fingerprint is 0, like that of a picture of one colour.
    """
    ids: list[str] = []
    fingerprints, size, expected = bytearray(), 0, max(1, store.count(where.collection))
    with tempfile.TemporaryFile(dir=folder) as file:
        for some in store.scan(where):
            ids += some.ids
            size = some.vectors.shape[1]
            file.write(some.vectors.astype("<f2").tobytes())
            fingerprints += b"".join(bytes.fromhex(each) or bytes(HASH_BYTES) for each in some.fingerprints)
            progress(0.1 * min(1, len(ids) / expected))
        file.flush()
        vectors = np.memmap(file, "<f2", "r", shape=(len(ids), size)) if ids else np.empty((0, 0), np.float16)
        yield ids, vectors, np.frombuffer(fingerprints, np.uint64).reshape(-1, HASH_BYTES // 8)


def _groups(roots: Numbers, vectors: Any) -> list[Numbers]:
    """Return the rows of each set of two or more, the closest sets first."""
    order = np.argsort(roots, kind="stable")
    starts = np.flatnonzero(np.diff(roots[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    several = [order[start : start + size] for start, size in zip(starts, sizes, strict=True) if size > 1]
    closeness = [
        -float(np.linalg.norm(vectors[rows[:MAX_MEMBERS]].astype(np.float32).mean(axis=0))) for rows in several
    ]
    return [several[each] for each in np.argsort(closeness, kind="stable")[:MAX_GROUPS]]


def _described(store: ContentStore, ids: Sequence[str], size: int) -> Group | None:
    """Describe a group of entries, the one to keep first; None if fewer than two are left by now."""
    contents = []
    for id in ids:
        try:
            contents.append((store.get(id), store.vectors([id])[0]))
        except NotFound:
            size -= 1
    if len(contents) < 2:
        return None
    contents.sort(key=lambda each: _worth(each[0]))  # stable: of equal ones, the first that was stored
    (best, kept), second = contents[0], contents[1][0]
    members = [Member(content, min(1.0, float(vector @ kept))) for content, vector in contents]
    return Group(members, size, _reason(best, second))


def _worth(content: Content) -> tuple[float, float, float]:
    """Sort key of entries: most pixels first, then most bytes, then the oldest; unknown values last."""
    file = content.file
    return (-file.width * file.height, -file.bytes, file.stored_at) if file else (0, 0, 0)


def _reason(best: Content, second: Content) -> str:
    """Explain what the best entry of a group has over the second."""
    if not best.file or not second.file:
        return "the only one with a known size" if best.file else "the first that was stored"
    first, other = best.file, second.file
    if first.width * first.height > other.width * other.height:
        return f"most pixels: {first.width} x {first.height}, the next has {other.width} x {other.height}"
    if first.bytes > other.bytes:
        return f"the same pixels and the largest file: {first.bytes:,} bytes, the next has {other.bytes:,}"
    return "the same pixels and bytes, and stored first"
