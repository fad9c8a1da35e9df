"""The newest vectors, compared with a query one by one."""

import numpy as np
import numpy.typing as npt

from app.engines import Floats

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Tail:
    """Vectors (N, D) with their numbers, which ascend. One thread at a time changes it; searches wait for nobody."""

    def __init__(self, size: int, room: int = 1024) -> None:
        self._vectors = np.empty((room, size), np.float32)
        self._numbers = np.empty(room, np.int64)
        self._alive = np.zeros(room, bool)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def alive(self) -> Flags:
        """Which vectors are alive, (N,), as a copy."""
        return self._alive[: self._count].copy()

    def add(self, numbers: Numbers, vectors: Floats) -> None:
        """Add vectors (n, D), to be found at once."""
        end = self._count + len(numbers)
        if end > len(self._numbers):
            self._grow(max(end, 2 * len(self._numbers)))
        rows = slice(self._count, end)
        self._vectors[rows], self._numbers[rows], self._alive[rows] = vectors, numbers, True
        self._count = end  # last, so that a search never sees a row half written

    def kill(self, numbers: Numbers) -> None:
        """Have these not be found any more; those that are not here are passed over."""
        self._alive[: self._count] &= ~np.isin(self._numbers[: self._count], numbers)

    def search(self, query: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """The numbers and scores of the k best for a query (D,), in no order, or of all where there are fewer."""
        alive = self._alive.copy()  # before the count: what was added before another was killed must be seen with it
        count = min(self._count, len(alive))
        wanted = alive[:count] if among is None else alive[:count] & np.isin(self._numbers[:count], among)
        rows = np.flatnonzero(wanted)
        scores = (self._vectors[:count] @ query)[rows]  # (n,)
        if len(rows) > k:
            best = np.argpartition(-scores, k - 1)[:k]
            rows, scores = rows[best], scores[best]
        return self._numbers[rows], scores

    def has(self, numbers: Numbers) -> int:
        """How many of these numbers are here, and alive."""
        return int(np.isin(self._numbers[: self._count][self.alive], numbers).sum())

    def part(self, first: int, last: int | None = None) -> tuple[Numbers, Floats, Flags]:
        """The numbers, the vectors and a copy of which are alive, of some rows."""
        rows = slice(first, self._count if last is None else last)
        return self._numbers[rows], self._vectors[rows], self._alive[rows].copy()

    def after(self, first: int) -> "Tail":
        """A tail of the rows from there on."""
        numbers, vectors, alive = self.part(first)
        rest = Tail(vectors.shape[1], max(1024, len(numbers)))
        rest.add(numbers, vectors)
        rest._alive[: len(numbers)] = alive
        return rest

    def _grow(self, room: int) -> None:
        for name in ("_vectors", "_numbers", "_alive"):
            old = getattr(self, name)
            new = np.zeros((room, *old.shape[1:]), old.dtype)
            new[: self._count] = old[: self._count]
            setattr(self, name, new)
