"""A vector index that is searched while it changes: an immutable segment and a tail of the newest vectors."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.contents import Flags, Numbers
from app.log import get_logger
from app.model.engines import Floats

if TYPE_CHECKING:
    from app.contents.segment import Alive, Segment

MAX_TOMBSTONE_RATIO = 0.25  # of a segment; beyond it the segment is rebuilt
RETRAIN_GROWTH = 4  # codes are retrained when the segment has this many times the vectors that they were trained on


@dataclass(frozen=True)
class IndexOptions:
    """The size of the tail, and the number of vectors from which a segment has codes."""

    tail: int = 8192  # compared one by one in half a millisecond
    exact_up_to: int = 20_000  # compared one by one in some 2 ms


class Tail:
    """The newest vectors (N, D) with their numbers, searched exhaustively.

    One thread appends; a search states how many of the first rows it compares.
    """

    def __init__(self, size: int, capacity: int = 1024) -> None:
        self._vectors = np.empty((capacity, size), np.float32)
        self._numbers = np.empty(capacity, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, numbers: Numbers, vectors: Floats) -> None:
        """Append vectors (n, D)."""
        end = self._count + len(numbers)
        if end > len(self._numbers):
            self._grow(max(end, 2 * len(self._numbers)))
        self._vectors[self._count : end], self._numbers[self._count : end] = vectors, numbers
        self._count = end

    def rows(self, start: int, end: int) -> tuple[Numbers, Floats]:
        """Return the numbers and vectors of some rows."""
        return self._numbers[start:end], self._vectors[start:end]

    def search(self, query: Floats, k: int, alive: Flags, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """Return numbers and scores of the k best for a query (D,), unordered, or of all if fewer.

        Only those of the first len(alive) rows that are alive are compared; `among` restricts them to these numbers.
        """
        numbers, vectors = self.rows(0, len(alive))
        rows = np.flatnonzero(alive if among is None else alive & np.isin(numbers, among))
        scores = (vectors @ query)[rows]  # (n,)
        if len(rows) > k:
            best = np.argpartition(-scores, k - 1)[:k]
            rows, scores = rows[best], scores[best]
        return numbers[rows], scores

    def _grow(self, capacity: int) -> None:
        """Reallocate; concurrent readers keep the old arrays."""
        vectors, numbers = np.empty((capacity, self._vectors.shape[1]), np.float32), np.empty(capacity, np.int64)
        vectors[: self._count], numbers[: self._count] = self._vectors[: self._count], self._numbers[: self._count]
        self._vectors, self._numbers = vectors, numbers


class View(NamedTuple):
    """A snapshot of the vectors after one change: a search uses one view, whatever changes meanwhile."""

    segment: "Segment | None"
    segment_alive: "Alive | None"
    tail: Tail
    tail_alive: Flags

    def search(self, query: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """Return numbers and scores of the k best for a unit vector (D,), best first.

        With `among` (ascending numbers), only these are compared, and the result is exact.
        """
        found = [self.tail.search(query, k, self.tail_alive, among)]
        if self.segment and self.segment_alive:
            found.append(self.segment.search(query, k, self.segment_alive, among))
        numbers, scores = (np.concatenate(each) for each in zip(*found, strict=True))
        best = np.lexsort((numbers, -scores))[:k]
        return numbers[best], scores[best].clip(-1, 1)  # 16-bit vectors may be a little longer than 1

    def alive(self) -> Flags:
        """Return which vectors are alive: the segment's by position, then the tail's."""
        if not self.segment or not self.segment_alive:
            return self.tail_alive.copy()
        return np.concatenate([self.segment.flags(self.segment_alive), self.tail_alive])

    def numbers(self) -> Numbers:
        """Return the numbers of all live vectors, ascending."""
        in_segment = [self.segment.numbers] if self.segment else []
        return np.concatenate([*in_segment, self.tail.rows(0, len(self.tail_alive))[0]])[self.alive()]


class VectorIndex:
    """Unit vectors (D,), each with a number. Numbers only increase and are never reused.

    Changes come from one thread at a time; any number of threads search in `view` without locks. An added vector is in
    the next view: in its tail, until a background thread has merged tail and segment. FAISS is imported when there are
    enough vectors for a segment.
    """

    def __init__(self, size: int, options: IndexOptions | None = None) -> None:
        self._size = size
        self._options = options or IndexOptions()
        self.view = View(None, None, Tail(size), np.zeros(0, bool))
        self._changing = threading.Lock()
        self._merging: threading.Thread | None = None
        self._merge_at = self._options.tail
        self._closed = False

    def load(self, numbers: Sequence[int] | Numbers, chunks: Iterable[Floats]) -> None:
        """Fill an empty index with vectors (n, D) in chunks."""
        numbers = np.asarray(numbers, np.int64)
        if len(numbers) < self._options.tail:
            tail, start = self.view.tail, 0
            for chunk in chunks:
                tail.add(numbers[start : start + len(chunk)], chunk)
                start += len(chunk)
            self.view = self.view._replace(tail_alive=np.ones(len(tail), bool))
            return
        from app.contents.segment import flat

        segment = flat(numbers, chunks, self._size)
        self.view = self.view._replace(segment=segment, segment_alive=segment.alive(np.ones(len(segment), bool)))
        self._merge_if_needed()

    def change(self, add: Sequence[tuple[int, Floats]], remove: Sequence[int] | Numbers) -> None:
        """Add numbered vectors and remove numbers atomically; the same call may remove what it adds."""
        with self._changing:
            segment, alive, tail, tail_alive = self.view
            if add:
                tail.add(np.array([number for number, _ in add]), np.stack([vector for _, vector in add]))
                tail_alive = np.concatenate([tail_alive, np.ones(len(add), bool)])
            if len(remove):
                gone = np.asarray(remove, np.int64)
                tail_alive = tail_alive & ~np.isin(tail.rows(0, len(tail))[0], gone)
                if segment and alive:
                    alive = segment.delete(alive, gone)
            self.view = View(segment, alive, tail, tail_alive)
        self._merge_if_needed()

    def close(self) -> None:
        """Wait for the background thread."""
        self._closed = True
        if self._merging:
            self._merging.join()

    def _merge_if_needed(self) -> None:
        if self._closed or (self._merging and self._merging.is_alive()):
            return
        if len(self.view.tail) >= self._merge_at or self._stale(self.view, 0):
            self._merging = threading.Thread(target=self._merge, name="contents index", daemon=True)
            self._merging.start()

    def _stale(self, view: View, added: int) -> bool:
        """Return whether a view's segment should be rebuilt rather than extended."""
        segment, alive = view.segment, view.segment_alive
        if not segment or not alive:
            return False
        count, tombstones = len(segment) + added, len(segment) - alive.total
        grown = count > self._options.exact_up_to and count > RETRAIN_GROWTH * segment.trained_on
        return grown or tombstones > MAX_TOMBSTONE_RATIO * len(segment)

    def _merge(self) -> None:
        """Build one segment from the segment and the tail, and swap it in with the changes made meanwhile."""
        view = self.view
        try:
            segment, kept = self._merged(view)
        except Exception:  # the tail keeps growing, and searches continue, if more slowly
            self._merge_at = len(view.tail) + self._options.tail
            get_logger().exception("the index of the contents cannot be rebuilt")
            return
        with self._changing:
            now, merged = self.view, len(view.tail_alive)
            tail = Tail(self._size)
            tail.add(*now.tail.rows(merged, len(now.tail)))
            alive = now._replace(tail_alive=now.tail_alive[:merged]).alive()[kept]
            self.view = View(segment, segment.alive(alive) if segment else None, tail, now.tail_alive[merged:])
            self._merge_at = self._options.tail

    def _merged(self, view: View) -> "tuple[Segment | None, Flags]":
        """Build a segment of a view's vectors; return it with flags for the vectors in it."""
        segment, _, tail, tail_alive = view
        numbers, vectors = tail.rows(0, len(tail_alive))
        kept = view.alive()
        if segment and not self._stale(view, len(numbers)):
            kept[: len(segment)] = True
            return segment.extended(numbers[tail_alive], vectors[tail_alive]), kept
        from app.contents.segment import coded, flat

        def chunks() -> Iterator[Floats]:
            start = 0
            for chunk in (*(segment.vectors() if segment else ()), vectors):
                yield chunk[kept[start : start + len(chunk)]]
                start += len(chunk)

        every = view.numbers()
        if len(every) > self._options.exact_up_to:
            return coded(every, chunks, self._size), kept
        return flat(every, chunks(), self._size) if len(every) else None, kept
