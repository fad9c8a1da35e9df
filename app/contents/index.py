"""Numbered vectors, to be searched while they change: a segment that stays, and a tail that grows."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from app.contents.tail import Tail
from app.engines import Floats
from app.log import get_logger

if TYPE_CHECKING:
    from app.contents.segment import Segment

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TAIL = 8192  # vectors; so many are compared one by one in half a millisecond
DEAD = 0.25  # of a segment; with more it is made anew
GROWTH = 2  # times as many vectors as its lists were made for; with more they are made anew


class _View(NamedTuple):
    """What a search looks at: in the segment first, since what moves goes from there to the tail's end."""

    segment: "Segment | None"
    tail: Tail


class Found(NamedTuple):
    """The numbers and scores of what was found, best first; and how many of those to choose among were there."""

    numbers: Numbers
    scores: Floats
    among: int


class VectorIndex:
    """Unit vectors (D,), each with a number. Numbers only ever rise, and none comes twice.

    Changes come from one thread at a time; searches from any number, and they wait for nobody. What was added is
    found at once: it is in the tail, until a thread in the background has made a segment of both. FAISS is imported
    when there are enough vectors for a segment.
    """

    def __init__(self, size: int, threads: int) -> None:
        self._size = size
        self._places = threading.BoundedSemaphore(threads)
        self._view = _View(None, Tail(size))
        self._changing = threading.Lock()
        self._merging: threading.Thread | None = None
        self._merge_at = TAIL
        self._closed = False

    def load(self, numbers: Sequence[int] | Numbers, chunks: Iterable[Floats]) -> None:
        """Begin with these vectors (n, D), which come in chunks."""
        numbers = np.asarray(numbers, np.int64)
        if len(numbers) < TAIL:
            start = 0
            for chunk in chunks:
                self._view.tail.add(numbers[start : start + len(chunk)], chunk)
                start += len(chunk)
            return
        from app.contents.segment import flat

        self._view = _View(flat(numbers, chunks, self._size), Tail(self._size))
        self._merge_if_needed()

    def change(self, add: Sequence[tuple[int, Floats]], remove: Sequence[int]) -> None:
        """Add vectors by their numbers, then remove some, in this order: what is replaced is found at every moment."""
        with self._changing:
            if add:
                self._view.tail.add(np.array([number for number, _ in add]), np.stack([vector for _, vector in add]))
            if remove:
                gone = np.array(remove, np.int64)
                self._view.tail.kill(gone)
                if self._view.segment:
                    self._view.segment.kill(gone)
        self._merge_if_needed()

    def search(self, query: Floats, k: int, among: Numbers | None = None) -> Found:
        """The k best for a unit vector (D,), among all or among these ascending numbers, and then exactly."""
        segment, tail = self._view
        parts: list[Segment | Tail] = [segment, tail] if segment else [tail]
        with self._places:
            found = [part.search(query, k, among) for part in parts]
        there = 0 if among is None else sum(part.has(among) for part in parts)
        numbers, scores = (np.concatenate(each) for each in zip(*found, strict=True))
        best = np.lexsort((numbers, -scores))[:k]
        return Found(numbers[best], scores[best], there)

    def close(self) -> None:
        """Wait for what runs in the background."""
        self._closed = True
        if self._merging:
            self._merging.join()

    def _merge_if_needed(self) -> None:
        segment, tail = self._view
        if self._closed or (self._merging and self._merging.is_alive()):
            return
        if len(tail) >= self._merge_at or (segment and _stale(segment, 0)):
            self._merging = threading.Thread(target=self._merge, name="contents index", daemon=True)
            self._merging.start()

    def _merge(self) -> None:
        """Make one segment of the segment and the tail, and swap it in; what changed meanwhile is in it too."""
        try:
            view = self._view
            merged, kept, taken = self._merged(view)
        except Exception:  # the tail goes on growing, and searches go on, if more slowly
            self._merge_at = len(view.tail) + TAIL
            get_logger().exception("the index of the contents cannot be made anew")
            return
        with self._changing:
            if merged:
                merged.live(np.concatenate([*_alive(view.segment), view.tail.alive[:taken]])[kept])
            self._view = _View(merged, view.tail.after(taken))
            self._merge_at = TAIL

    def _merged(self, view: _View) -> "tuple[Segment | None, Flags, int]":
        """The new segment, which of the old positions are in it, and how many rows of the tail these go up to."""
        segment, tail = view
        taken = len(tail)
        numbers, vectors, alive = tail.part(0, taken)
        if segment and not _stale(segment, taken):
            kept = np.concatenate([np.ones(len(segment), bool), alive])
            return segment.extended(numbers[alive], vectors[alive]), kept, taken
        from app.contents.segment import EXACT_UP_TO, flat, in_lists

        kept = np.concatenate([*_alive(segment), alive])
        every = np.concatenate([*([segment.numbers] if segment else []), numbers])[kept]

        def chunks() -> Iterator[Floats]:
            start = 0
            for chunk in (*(segment.vectors() if segment else ()), vectors):
                yield chunk[kept[start : start + len(chunk)]]
                start += len(chunk)

        if len(every) > EXACT_UP_TO:
            return in_lists(every, chunks, self._size), kept, taken
        return flat(every, chunks(), self._size) if len(every) else None, kept, taken


def _alive(segment: "Segment | None") -> list[Flags]:
    return [segment.alive] if segment else []


def _stale(segment: "Segment", more: int) -> bool:
    """Whether a segment is better made anew than extended."""
    from app.contents.segment import EXACT_UP_TO

    count = len(segment) + more
    return segment.dead > DEAD * len(segment) or (count > EXACT_UP_TO and count > GROWTH * segment.trained_on)
