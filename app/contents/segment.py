"""An immutable FAISS segment: one flat list up to some size, an inverted file (IVF) above it.

The centroids are made by plain k-means and ranked by distance, whatever the scores are: CLIP's texts lie apart from
its pictures, and spherical lists ranked by inner product lose 1 % of what a text should find. See
docs/decisions/0014-contents.md.
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
TARGET_RECALL = 0.995
TEXT_LISTS = 2  # times the square root of all lists, which texts that look for rare things need: see the decisions
MIN_CANDIDATES = 20  # alive vectors compared for each result, at least
DEVIATIONS = 4.25  # by which a vector's score may exceed its centroid's before a search would miss it
SPREAD_SAMPLE = 50_000  # vectors
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


@dataclass(frozen=True)
class Spread:
    """How far vectors lie from their centroids: the covariance (D, D) of all, and each list's size relative to it."""

    covariance: Floats
    scale: Floats

    def along(self, query: Floats) -> Floats:
        """Return by list (nlist,) the standard deviation of scores for a query (D,) around the centroid's."""
        deviations: Floats = self.scale * np.sqrt(query @ self.covariance @ query)
        return deviations


class Segment:
    """N vectors at positions 0 to N - 1, each with its number; numbers ascend, and nothing ever changes.

    FAISS works only in the calling thread.
    """

    def __init__(
        self,
        index: Any,
        numbers: Numbers,
        trained_on: int = 0,
        spread: Spread | None = None,
        deviations: float = DEVIATIONS,
    ) -> None:
        """`spread` may be missing where there is one list."""
        self.index = index
        self.numbers = numbers
        self.trained_on = trained_on
        self._spread = spread
        self._deviations = deviations
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
        return self.scan(query, k, alive.bits & pack(flags), np.arange(self.index.nlist))

    def _probe(self, query: Floats, k: int, alive: Alive) -> tuple[Numbers, Floats]:
        """Compare the nearest lists, then every list that may hold a better vector than the k-th best so far.

        The first step has as many alive vectors as the calibration asks for. A list may hold a better one when its
        centroid's score and some standard deviations of its vectors' scores exceed the k-th best. So a query far from
        the stored vectors, or from a region that was deleted, probes as many lists as it needs.
        """
        scores_of_lists = self._centroids @ query
        order = np.argsort(self._norms - 2 * scores_of_lists)  # by distance
        order = order[alive.per_list[order] > 0]
        seen = np.cumsum(alive.per_list[order])
        enough = max(self.index.nprobe * len(self) / self.index.nlist, MIN_CANDIDATES * k)
        step = int(np.searchsorted(seen, enough)) + 1
        numbers, scores = self.scan(query, k, alive.bits, order[:step])
        if self._spread is None:
            return numbers, scores
        bounds = scores_of_lists + self._deviations * self._spread.along(query)
        rest = order[step:]
        rest = rest[np.argsort(-bounds[rest])]
        while True:
            if len(scores) == k:
                rest = rest[: np.searchsorted(-bounds[rest], -scores[-1])]
            if not len(rest):
                return numbers, scores
            more, their_scores = self.scan(query, k, alive.bits, rest[:step])
            rest, step = rest[step:], 2 * step
            both = np.concatenate([scores, their_scores])
            best = np.argsort(-both, kind="stable")[:k]
            numbers, scores = np.concatenate([numbers, more])[best], both[best]

    def scan(self, query: Floats, k: int, bits: Bits, lists: Numbers) -> tuple[Numbers, Floats]:
        """Compare a query with the vectors of these lists whose bit is set."""
        if not len(lists):  # of a segment whose vectors are all deleted; FAISS refuses to search no list
            return np.empty(0, np.int64), np.empty(0, np.float32)
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
        every = np.concatenate([self.numbers, numbers])
        return Segment(index, every, self.trained_on, self._spread, self._deviations)


def flat(numbers: Numbers, chunks: Iterable[Floats], size: int) -> Segment:
    """Build a segment of vectors (n, size), given in chunks, with one list: searched exactly."""
    return Segment(_filled(np.zeros((1, size), np.float32), chunks), numbers)


def inverted_file(numbers: Numbers, chunks: Callable[[], Iterable[Floats]], deviations: float = DEVIATIONS) -> Segment:
    """Build a segment of vectors (n, D) in about 2 sqrt(N) lists; `chunks` is called several times."""
    count = len(numbers)
    lists = round(2 * math.sqrt(count))
    chosen = np.random.default_rng(0).permutation(count)[: lists * POINTS_PER_LIST]
    index = _filled(centroids_of(_rows(chunks(), np.sort(chosen)), lists, POINTS_PER_LIST), chunks())
    sample = _rows(chunks(), np.sort(chosen[:SPREAD_SAMPLE]))
    segment = Segment(index, numbers, count, _spread(index, sample), deviations)
    _calibrate(segment, sample[:: max(1, len(sample) // CALIBRATION_QUERIES)])
    return segment


def centroids_of(vectors: Floats, lists: int, most_per_list: int) -> Floats:
    """Return centroids (lists, D) of vectors (n, D) by k-means."""
    kmeans = faiss.Kmeans(vectors.shape[1], lists, niter=KMEANS_ROUNDS, max_points_per_centroid=most_per_list, seed=1)
    faiss.omp_set_num_threads(1)
    kmeans.train(vectors)
    centroids: Floats = kmeans.centroids
    return centroids


def _filled(centroids: Floats, chunks: Iterable[Floats]) -> Any:
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
    return index


def _spread(index: Any, vectors: Floats) -> Spread:
    """Measure on some vectors (n, D) how far they lie from their centroids; lists with few of them count as average."""
    centroids, lists = index.quantizer.reconstruct_n(0, index.nlist), index.quantizer.search(vectors, 1)[1][:, 0]
    vectors = vectors - centroids[lists]
    squares = (vectors**2).sum(axis=1)
    prior, average = 3, max(float(squares.mean()), 1e-12)
    sums = np.bincount(lists, squares, minlength=index.nlist) + prior * average
    counts = np.bincount(lists, minlength=index.nlist) + prior
    covariance = (vectors.T @ vectors / len(vectors)).astype(np.float32)
    return Spread(covariance, np.sqrt(sums / counts / average).astype(np.float32))


def _calibrate(segment: Segment, queries: Floats) -> None:
    """Set nprobe, the lists of a search's first step, so that searches by queries (n, D) reach TARGET_RECALL.

    At least TEXT_LISTS times the square root of all lists: for stored vectors the second step makes up for a first one
    that is too small, for texts that look for pictures it does not.
    """
    index, everything = segment.index, segment.alive(np.ones(len(segment), bool))
    every_list = np.arange(index.nlist)
    wanted = [segment.scan(query, NEIGHBOURS, everything.bits, every_list)[0] for query in queries]
    index.nprobe = round(TEXT_LISTS * math.sqrt(index.nlist))
    while index.nprobe < index.nlist:
        found = [segment.search(query, NEIGHBOURS, everything)[0] for query in queries]
        recall = np.mean([len(np.intersect1d(*pair)) / len(pair[1]) for pair in zip(found, wanted, strict=True)])
        if recall >= TARGET_RECALL:
            break
        index.nprobe = min(2 * index.nprobe, index.nlist)


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
