"""An immutable FAISS segment: one flat list up to some size, an inverted file (IVF) above it.

The centroids are made by plain k-means and ranked by distance, whatever the scores are: CLIP's texts lie apart from
its pictures, and spherical lists ranked by inner product lose 1 % of what a text should find. See
docs/decisions/contents.md.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from app.contents.bitmap import Bits, Flags, Numbers, cleared, pack, unpack
from app.model.engines import Floats

CHUNK = 50_000  # vectors
CALIBRATION_QUERIES, NEIGHBOURS = 100, 10
TARGET_RECALL = 0.995  # of the calibration, and of the results that a search may still gain when it stops
MIN_CANDIDATES = 20  # alive vectors compared for each result, at least
WATCHED = 40  # nearest vectors that must stop changing before a search stops
POINTS_PER_LIST, KMEANS_ROUNDS = 64, 10


@dataclass(frozen=True)
class Alive:
    """Which vectors of a segment have no tombstone: by position (N bits), and how many in each list (nlist,)."""

    bits: Bits
    per_list: Numbers

    @property
    def total(self) -> int:
        """How many vectors are alive."""
        return int(self.per_list.sum())


class Segment:
    """N vectors at positions 0 to N - 1, each with its number; numbers ascend, and nothing ever changes.

    FAISS works in the calling thread alone.
    """

    def __init__(self, index: Any, numbers: Numbers, trained_on: int) -> None:
        self.index = index
        self.numbers = numbers
        self.trained_on = trained_on
        self._centroids: Floats = index.quantizer.reconstruct_n(0, index.nlist)  # (nlist, D)
        self._norms = (self._centroids**2).sum(axis=1)
        self._list_of = _list_of(index)

    def __len__(self) -> int:
        return len(self.numbers)

    def positions(self, numbers: Numbers) -> Numbers:
        """Return the positions of these numbers; numbers that are not here are skipped."""
        places = np.searchsorted(self.numbers, numbers)
        places[places == len(self)] = 0
        found: Numbers = places[self.numbers[places] == numbers]
        return found

    def alive(self, flags: Flags) -> Alive:
        """Return the vectors whose flag (N,) is set."""
        return Alive(pack(flags), np.bincount(self._list_of[flags], minlength=self.index.nlist))

    def delete(self, alive: Alive, numbers: Numbers) -> Alive:
        """Return `alive` with tombstones for these numbers; numbers that are not here are skipped."""
        positions = self.positions(numbers)
        positions = positions[alive.bits[positions >> 3] >> (positions & 7) & 1 == 1]
        gone = np.bincount(self._list_of[positions], minlength=self.index.nlist)
        return Alive(cleared(alive.bits, positions), alive.per_list - gone)

    def flags(self, alive: Alive) -> Flags:
        """Return by position (N,) whether a vector is alive."""
        return unpack(alive.bits, len(self))

    def search(self, query: Floats, k: int, alive: Alive, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """Return numbers and scores of the k best alive vectors for a query (D,), best first, or of all if fewer.

        With `among`, only vectors with these numbers are compared, and the result is exact.
        """
        if among is None:
            return self._probe(query, k, alive)
        flags = np.zeros(len(self), bool)
        flags[self.positions(among)] = True
        return self._scan(query, k, alive.bits & pack(flags), np.arange(self.index.nlist))

    def _probe(self, query: Floats, k: int, alive: Alive) -> tuple[Numbers, Floats]:
        """Probe the nearest lists until twice as many alive vectors bring nothing new.

        The first step compares as many vectors as the calibration asks for. Each further step doubles what was seen,
        until it changes less of the nearest `WATCHED` vectors (or k, if more) than TARGET_RECALL allows. So a query far
        from the stored vectors, or from a region that was deleted, probes as many lists as it needs.
        """
        order = np.argsort(self._norms - 2 * (self._centroids @ query))
        order = order[alive.per_list[order] > 0]
        seen, watched = np.cumsum(alive.per_list[order]), max(k, WATCHED)
        numbers, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        start, wanted = 0, max(self.index.nprobe * len(self) / self.index.nlist, MIN_CANDIDATES * k)
        while start < len(order):
            end = min(int(np.searchsorted(seen, wanted)) + 1, len(order))
            more, their_scores = self._scan(query, watched, alive.bits, order[start:end])
            best = np.argsort(-np.concatenate([scores, their_scores]), kind="stable")[:watched]
            new = int((best >= len(numbers)).sum())
            numbers = np.concatenate([numbers, more])[best]
            scores = np.concatenate([scores, their_scores])[best]
            if len(best) == watched and new <= (1 - TARGET_RECALL) * watched:
                break
            start, wanted = end, 2 * seen[end - 1]
        return numbers[:k], scores[:k]

    def _scan(self, query: Floats, k: int, bits: Bits, lists: Numbers) -> tuple[Numbers, Floats]:
        """Compare a query with the vectors of these lists whose bit is set."""
        faiss.omp_set_num_threads(1)
        k = max(k, 1)
        parameters = faiss.SearchParametersIVF(sel=faiss.IDSelectorBitmap(bits), nprobe=len(lists))
        query, lists = np.ascontiguousarray(query[None], np.float32), np.ascontiguousarray(lists, np.int64)
        unused, scores, positions = np.zeros(len(lists), np.float32), np.empty(k, np.float32), np.empty(k, np.int64)
        pointers = (faiss.swig_ptr(each) for each in (lists, unused, scores, positions))
        # FAISS's Python wrapper of this call takes no selector
        self.index.search_preassigned_c(1, faiss.swig_ptr(query), k, *pointers, False, parameters)
        found = positions >= 0  # -1 pads the result
        return self.numbers[positions[found]], scores[found]

    def vectors(self) -> Iterator[Floats]:
        """Yield all vectors by position, in chunks (n, D)."""
        for start in range(0, len(self), CHUNK):
            yield self.index.reconstruct_n(start, min(CHUNK, len(self) - start))

    def extended(self, numbers: Numbers, vectors: Floats) -> "Segment":
        """Return a new segment with vectors (n, D) appended to the same lists."""
        faiss.omp_set_num_threads(1)
        index = faiss.clone_index(self.index)
        index.add(vectors)
        return Segment(index, np.concatenate([self.numbers, numbers]), self.trained_on)


def flat(numbers: Numbers, chunks: Iterable[Floats], size: int) -> Segment:
    """Build a segment of vectors (n, size), given in chunks, with one list: searched exactly."""
    return _filled(np.zeros((1, size), np.float32), numbers, chunks, trained_on=0)


def inverted_file(
    numbers: Numbers, chunks: Callable[[], Iterable[Floats]], size: int, target_recall: float = TARGET_RECALL
) -> Segment:
    """Build a segment of vectors (n, size) in about 2 sqrt(N) lists; `chunks` is called several times."""
    count = len(numbers)
    lists = round(2 * math.sqrt(count))
    chosen = np.random.default_rng(0).permutation(count)[: lists * POINTS_PER_LIST]
    kmeans = faiss.Kmeans(size, lists, niter=KMEANS_ROUNDS, max_points_per_centroid=POINTS_PER_LIST, seed=1)
    faiss.omp_set_num_threads(1)
    kmeans.train(_rows(chunks(), np.sort(chosen)))
    segment = _filled(kmeans.centroids, numbers, chunks(), trained_on=count)
    _calibrate(segment.index, _rows(chunks(), np.sort(chosen[:CALIBRATION_QUERIES])), target_recall)
    return segment


def _filled(centroids: Floats, numbers: Numbers, chunks: Iterable[Floats], trained_on: int) -> Segment:
    lists, size = centroids.shape
    quantizer = faiss.IndexFlatL2(size)
    quantizer.add(centroids)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, size, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.train(centroids)  # float16 needs no training; this only marks the index as trained
    faiss.omp_set_num_threads(1)
    for chunk in chunks:
        index.add(chunk)
    return Segment(index, numbers, trained_on)


def _calibrate(index: Any, queries: Floats, target_recall: float) -> None:
    """Set nprobe to the lists that find the neighbours of queries (n, D) with the target recall, a power of two."""
    exhaustive = faiss.SearchParametersIVF(nprobe=index.nlist)
    wanted = index.search(queries, NEIGHBOURS, params=exhaustive)[1]
    nprobe = 1
    while nprobe < index.nlist:
        found = index.search(queries, NEIGHBOURS, params=faiss.SearchParametersIVF(nprobe=nprobe))[1]
        recall = np.mean([len(np.intersect1d(*pair)) / NEIGHBOURS for pair in zip(found, wanted, strict=True)])
        if recall >= target_recall:
            break
        nprobe *= 2
    index.nprobe = min(nprobe, index.nlist)


def _list_of(index: Any) -> Numbers:
    """Return by position (N,) the list that each vector is in."""
    lists = np.empty(index.ntotal, np.int32)
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size:
            lists[faiss.rev_swig_ptr(index.invlists.get_ids(number), size)] = number
    return lists


def _rows(chunks: Iterable[Floats], places: Numbers) -> Floats:
    """Return the rows at these ascending places of all chunks together."""
    found, start = [], 0
    for chunk in chunks:
        first, last = np.searchsorted(places, [start, start + len(chunk)])
        found.append(chunk[places[first:last] - start])
        start += len(chunk)
    return np.concatenate(found)
