"""Many vectors that stay as they are, in FAISS: exact up to a number, in lists around centroids above it.

The lists are made by plain k-means and looked up by distance, whatever the scores are: on real CLIP vectors texts lie
apart from pictures, and lists on the sphere lose 1 % of what a text should find. See docs/decisions/contents.md.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import faiss
import numpy as np

from app.contents.flags import Bits, Flags, Numbers, pack
from app.model.engines import Floats

EXACT_UP_TO = 20_000  # vectors; one list of so many is read in some 2 ms
A_CHUNK = 50_000
PROBES, NEIGHBOURS = 100, 10  # what a segment looks for in itself, to see how many lists it takes
WANTED = 0.995  # of what these should find
SPARE = 2  # times the lists that it takes: who asks is not among the stored
ROOM = 20  # times k: so many vectors are looked at, at least
POINTS_A_LIST, ROUNDS = 64, 10  # of k-means


class Segment:
    """N vectors at positions 0 to N - 1, each with its number; numbers ascend, and nothing ever changes.

    FAISS works in the calling thread alone.
    """

    def __init__(self, index: Any, numbers: Numbers, trained_on: int) -> None:
        self.index = index
        self.numbers = numbers
        self.trained_on = trained_on

    def __len__(self) -> int:
        return len(self.numbers)

    def positions(self, numbers: Numbers) -> Numbers:
        """Where these numbers are; those that are not here are passed over."""
        places = np.searchsorted(self.numbers, numbers)
        places[places == len(self)] = 0
        found: Numbers = places[self.numbers[places] == numbers]
        return found

    def search(self, query: Floats, k: int, alive: Bits, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """The numbers and scores of the k best for a query (D,), best first, or of all where there are fewer.

        `alive` says by position which vectors are looked at, packed to bits. With `among`, of these those with such a
        number, and then exactly.
        """
        if among is not None:
            alive = alive & pack(self._flags(among))
        k = min(k, int(np.bitwise_count(alive).sum()))
        numbers, scores = self._look(query, k, alive, self._lists(k) if among is None else self.index.nlist)
        return (numbers, scores) if len(numbers) == k else self._look(query, k, alive, self.index.nlist)

    def _lists(self, k: int) -> int:
        """How many lists to look into for the k best."""
        lists = int(self.index.nlist)
        return min(max(int(self.index.nprobe), math.ceil(ROOM * k * lists / len(self))), lists)

    def _look(self, query: Floats, k: int, bits: Bits, lists: int) -> tuple[Numbers, Floats]:
        faiss.omp_set_num_threads(1)
        parameters = faiss.SearchParametersIVF(sel=faiss.IDSelectorBitmap(bits), nprobe=lists)
        scores, positions = self.index.search(query[None], max(k, 1), params=parameters)
        found = positions[0] >= 0  # -1 stands for none
        return self.numbers[positions[0][found]], scores[0][found]

    def vectors(self) -> Iterator[Floats]:
        """All vectors by position, in chunks (n, D)."""
        for start in range(0, len(self), A_CHUNK):
            yield self.index.reconstruct_n(start, min(A_CHUNK, len(self) - start))

    def extended(self, numbers: Numbers, vectors: Floats) -> "Segment":
        """A new segment with more vectors (n, D) at its end, in the same lists; this one stays as it is."""
        faiss.omp_set_num_threads(1)
        index = faiss.clone_index(self.index)
        index.add(vectors)
        return Segment(index, np.concatenate([self.numbers, numbers]), self.trained_on)

    def _flags(self, numbers: Numbers) -> Flags:
        flags = np.zeros(len(self), bool)
        flags[self.positions(numbers)] = True
        return flags


def flat(numbers: Numbers, chunks: Iterable[Floats], size: int) -> Segment:
    """A segment of vectors (n, size) that come in chunks, in one list: searched exactly."""
    return _filled(np.zeros((1, size), np.float32), numbers, chunks, trained_on=0)


def in_lists(numbers: Numbers, chunks: Callable[[], Iterable[Floats]], size: int) -> Segment:
    """A segment of vectors (n, size) in about two square roots of N lists; `chunks` is called several times."""
    count = len(numbers)
    lists = round(2 * math.sqrt(count))
    chosen = np.random.default_rng(0).permutation(count)[: lists * POINTS_A_LIST]
    kmeans = faiss.Kmeans(size, lists, niter=ROUNDS, max_points_per_centroid=POINTS_A_LIST, seed=1)
    faiss.omp_set_num_threads(1)
    kmeans.train(_rows(chunks(), np.sort(chosen)))
    segment = _filled(kmeans.centroids, numbers, chunks(), trained_on=count)
    _choose_lists(segment.index, _rows(chunks(), np.sort(chosen[:PROBES])))
    return segment


def _filled(centroids: Floats, numbers: Numbers, chunks: Iterable[Floats], trained_on: int) -> Segment:
    lists, size = centroids.shape
    quantizer = faiss.IndexFlatL2(size)
    quantizer.add(centroids)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, size, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.train(centroids)  # 16 bits a number are nothing to be learnt: this says that it is ready
    faiss.omp_set_num_threads(1)
    for chunk in chunks:
        index.add(chunk)
    return Segment(index, numbers, trained_on)


def _choose_lists(index: Any, probes: Floats) -> None:
    """Have searches look into as many lists as it takes to find the neighbours of vectors (n, D), and some more."""
    everywhere = faiss.SearchParametersIVF(nprobe=index.nlist)
    wanted = index.search(probes, NEIGHBOURS, params=everywhere)[1]
    looked = 1
    while looked < index.nlist:
        found = index.search(probes, NEIGHBOURS, params=faiss.SearchParametersIVF(nprobe=looked))[1]
        recall = np.mean([len(np.intersect1d(*pair)) / NEIGHBOURS for pair in zip(found, wanted, strict=True)])
        if recall >= WANTED:
            break
        looked *= 2
    index.nprobe = min(SPARE * looked, index.nlist)


def _rows(chunks: Iterable[Floats], places: Numbers) -> Floats:
    """The rows at these ascending places of all chunks together."""
    found, start = [], 0
    for chunk in chunks:
        first, last = np.searchsorted(places, [start, start + len(chunk)])
        found.append(chunk[places[first:last] - start])
        start += len(chunk)
    return np.concatenate(found)
