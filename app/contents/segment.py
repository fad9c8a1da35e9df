"""An immutable FAISS segment: float16 vectors and, above some size, product quantization codes of one bit a dimension.

A search ranks all vectors by their codes, a sixteenth of the data, and compares the best of them exactly until the rest
is unlikely to have a better one. Nothing depends on where the vectors are, so texts, which are far from pictures, and
regions with many deletions are not harder than others: docs/decisions/0014-contents.md.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from app.contents import Flags, Numbers
from app.model.engines import Floats

Bits = npt.NDArray[np.uint8]


def pack(flags: Flags) -> Bits:
    """Pack flags (N,) eight to a byte."""
    return np.packbits(flags, bitorder="little")


def unpack(bits: Bits, count: int) -> Flags:
    """Unpack the first `count` flags.

    >>> unpack(pack(np.array([True, False, True])), 3).tolist()
    [True, False, True]
    """
    return np.unpackbits(bits, count=count, bitorder="little").astype(bool)


def cleared(bits: Bits, positions: Numbers) -> Bits:
    """Copy a bitmap with the bits at these positions cleared.

    >>> unpack(cleared(pack(np.array([True, False, True])), np.array([2])), 3).tolist()
    [True, False, False]
    """
    copy = bits.copy()
    np.bitwise_and.at(copy, positions >> 3, ~(1 << (positions & 7)).astype(np.uint8))
    return copy


CHUNK = 50_000  # vectors
TRAINED_ON = 20_000  # vectors
NUMBERS_PER_CODE = 4  # quantised to 4 bits
BLOCK = 512  # vectors compared exactly at a time, at least
ONE_IN = 500  # or the segment's size divided by this, if that is more
DEVIATIONS = 4.5  # standard deviations by which a score may exceed its code's estimate before a search misses it


@dataclass(frozen=True)
class Alive:
    """The vectors of a segment without a tombstone: by position (N bits), and their number."""

    bits: Bits
    total: int

    def at(self, positions: Numbers) -> Flags:
        """Return whether the vectors at these positions are alive."""
        flags: Flags = self.bits[positions >> 3] >> (positions & 7) & 1 == 1
        return flags


class Codes:
    """Vectors (N, D) by product quantization, after a random rotation that spreads the variance over all dimensions."""

    def __init__(self, index: Any, rotation: Floats) -> None:
        self.index = index
        self._rotation = rotation  # (D, E)

    @classmethod
    def trained(cls, vectors: Floats) -> "Codes":
        """Train empty codes on vectors (n, D)."""
        size = vectors.shape[1]
        places = -(-size // NUMBERS_PER_CODE)
        random = np.random.default_rng(0).normal(size=(NUMBERS_PER_CODE * places, size))
        rotation = np.linalg.qr(random)[0].T.astype(np.float32)  # (D, E); E may be up to 3 more
        index = faiss.IndexPQFastScan(rotation.shape[1], places, 4, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors @ rotation)
        return cls(index, rotation)

    def add(self, vectors: Floats) -> None:
        """Append vectors (n, D)."""
        self.index.add(vectors @ self._rotation)

    def extended(self, vectors: Floats) -> "Codes":
        """Copy with vectors (n, D) appended."""
        copy = Codes(faiss.clone_index(self.index), self._rotation)
        copy.add(vectors)
        return copy

    def best(self, query: Floats, count: int) -> tuple[Numbers, Floats]:
        """Return the positions (count,) of the best for a query (D,) by their codes, and the estimated scores."""
        scores, positions = self.index.search((query @ self._rotation)[None], count)
        return positions[0], scores[0]


class Segment:
    """N immutable vectors at positions 0 to N - 1, each with its number; numbers ascend.

    FAISS uses only the calling thread.
    """

    def __init__(self, index: Any, numbers: Numbers, codes: Codes | None = None, trained_on: int = 0) -> None:
        """Without codes every search is exhaustive."""
        self.index = index
        self.numbers = numbers
        self.codes = codes
        self.trained_on = trained_on

    def __len__(self) -> int:
        return len(self.numbers)

    def positions(self, numbers: Numbers) -> Numbers:
        """Return the positions of these numbers; skips numbers that are not here."""
        places = np.searchsorted(self.numbers, numbers)
        places[places == len(self)] = 0
        found: Numbers = places[self.numbers[places] == numbers]
        return found

    def alive(self, flags: Flags) -> Alive:
        """Return the vectors whose flag (N,) is set."""
        return Alive(pack(flags), int(flags.sum()))

    def delete(self, alive: Alive, numbers: Numbers) -> Alive:
        """Return `alive` with tombstones for these numbers; skips numbers that are not here."""
        positions = self.positions(numbers)
        positions = positions[alive.at(positions)]
        return Alive(cleared(alive.bits, positions), alive.total - len(positions))

    def flags(self, alive: Alive) -> Flags:
        """Return by position (N,) whether a vector is alive."""
        return unpack(alive.bits, len(self))

    def search(self, query: Floats, k: int, alive: Alive, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """Return numbers and scores of the k best alive vectors for a query (D,), best first, or of all if fewer.

        With `among`, only vectors with these numbers are compared, and the result is exact.
        """
        faiss.omp_set_num_threads(1)
        k = max(k, 1)
        if among is not None:
            flags = np.zeros(len(self), bool)
            flags[self.positions(among)] = True
            return self._scan(query, k, alive.bits & pack(flags))
        if self.codes and k < len(self) // 8:
            return self._ranked(self.codes, query, k, alive)
        return self._scan(query, k, alive.bits)

    def _ranked(self, codes: Codes, query: Floats, k: int, alive: Alive) -> tuple[Numbers, Floats]:
        """Rank all by their codes, then compare the best live ones until the k-th score exceeds the bound for the rest.

        The last block compared shows how far scores exceed the estimates from the codes.
        """
        block = max(BLOCK, len(self) // ONE_IN, 4 * k)
        ranked = 2 * block
        while ranked < len(self):
            positions, coded = codes.best(query, ranked)
            living = alive.at(positions)
            positions, coded = positions[living], coded[living]
            scores = np.empty(len(positions), np.float32)
            for start in range(0, len(positions) - block // 2 + 1, block):  # the last block may have half as many
                some = slice(start, start + block)
                scores[some] = self.index.reconstruct_batch(positions[some]) @ query
                best = np.argsort(-scores[: some.stop], kind="stable")[:k]
                beyond = scores[some] - coded[some]
                if scores[best[-1]] >= coded[some][-1] + beyond.mean() + DEVIATIONS * beyond.std():
                    return self.numbers[positions[best]], scores[best]
            ranked *= 4  # too many of these are deleted, or too similar
        return self._scan(query, k, alive.bits)

    def _scan(self, query: Floats, k: int, bits: Bits) -> tuple[Numbers, Floats]:
        """Compare a query exactly with the vectors whose bit is set."""
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        scores, positions = self.index.search(np.ascontiguousarray(query[None], np.float32), k, params=parameters)
        found = positions[0] >= 0  # -1 pads the result
        return self.numbers[positions[0][found]], scores[0][found]

    def vectors(self) -> Iterator[Floats]:
        """Yield all vectors by position, in chunks (n, D)."""
        for start in range(0, len(self), CHUNK):
            yield self.index.reconstruct_n(start, min(CHUNK, len(self) - start))

    def extended(self, numbers: Numbers, vectors: Floats) -> "Segment":
        """Return a new segment with vectors (n, D) appended."""
        faiss.omp_set_num_threads(1)
        index = faiss.clone_index(self.index)
        index.add(vectors)
        codes = self.codes.extended(vectors) if self.codes else None
        return Segment(index, np.concatenate([self.numbers, numbers]), codes, self.trained_on)


def flat(numbers: Numbers, chunks: Iterable[Floats], size: int) -> Segment:
    """Build a segment of vectors (n, size), given in chunks, without codes."""
    return Segment(_filled(size, chunks), numbers)


def coded(numbers: Numbers, chunks: Callable[[], Iterable[Floats]], size: int) -> Segment:
    """Build a segment of vectors (n, size) with codes; `chunks` is called several times."""
    faiss.omp_set_num_threads(1)
    chosen = np.sort(np.random.default_rng(0).permutation(len(numbers))[:TRAINED_ON])
    codes = Codes.trained(_rows(chunks(), chosen))
    for chunk in chunks():
        codes.add(chunk)
    return Segment(_filled(size, chunks()), numbers, codes, len(numbers))


def centroids_of(vectors: Floats, lists: int, most_per_list: int) -> Floats:
    """Return centroids (lists, D) of vectors (n, D) by k-means."""
    kmeans = faiss.Kmeans(vectors.shape[1], lists, niter=10, max_points_per_centroid=most_per_list, seed=1)
    faiss.omp_set_num_threads(1)
    kmeans.train(vectors)
    centroids: Floats = kmeans.centroids
    return centroids


def _filled(size: int, chunks: Iterable[Floats]) -> Any:
    index = faiss.IndexScalarQuantizer(size, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.train(np.zeros((1, size), np.float32))  # float16 needs no training; this only marks the index as trained
    faiss.omp_set_num_threads(1)
    for chunk in chunks:
        index.add(chunk)
    return index


def _rows(chunks: Iterable[Floats], places: Numbers) -> Floats:
    """Return the rows at these ascending indices of all chunks together."""
    found, start = [], 0
    for chunk in chunks:
        first, last = np.searchsorted(places, [start, start + len(chunk)])
        found.append(chunk[places[first:last] - start])
        start += len(chunk)
    return np.concatenate(found)
