"""The newest vectors, compared with a query one by one."""

import numpy as np

from app.contents.flags import Flags, Numbers
from app.model.engines import Floats


class Tail:
    """Vectors (N, D) with their numbers. One thread adds; searches say how many of the first they look at."""

    def __init__(self, size: int, room: int = 1024) -> None:
        self._vectors = np.empty((room, size), np.float32)
        self._numbers = np.empty(room, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, numbers: Numbers, vectors: Floats) -> None:
        """Add vectors (n, D)."""
        end = self._count + len(numbers)
        if end > len(self._numbers):
            self._grow(max(end, 2 * len(self._numbers)))
        self._vectors[self._count : end], self._numbers[self._count : end] = vectors, numbers
        self._count = end

    def part(self, first: int, last: int) -> tuple[Numbers, Floats]:
        """The numbers and vectors of some rows."""
        return self._numbers[first:last], self._vectors[first:last]

    def search(self, query: Floats, k: int, alive: Flags, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """The numbers and scores of the k best for a query (D,), in no order, or of all where there are fewer.

        `alive` says which of the first so many rows are looked at; with `among`, of these those with such a number.
        """
        numbers, vectors = self.part(0, len(alive))
        rows = np.flatnonzero(alive if among is None else alive & np.isin(numbers, among))
        scores = (vectors @ query)[rows]  # (n,)
        if len(rows) > k:
            best = np.argpartition(-scores, k - 1)[:k]
            rows, scores = rows[best], scores[best]
        return numbers[rows], scores

    def _grow(self, room: int) -> None:
        """Into new arrays: who reads the old ones may go on."""
        vectors, numbers = np.empty((room, self._vectors.shape[1]), np.float32), np.empty(room, np.int64)
        vectors[: self._count], numbers[: self._count] = self._vectors[: self._count], self._numbers[: self._count]
        self._vectors, self._numbers = vectors, numbers
