"""Numbered vectors, to be searched while they change: a segment that stays, and a tail that grows."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.contents.flags import Bits, Flags, Numbers, pack, unpack, without
from app.contents.tail import Tail
from app.log import get_logger
from app.model.engines import Floats

if TYPE_CHECKING:
    from app.contents.segment import Segment

TAIL = 8192  # vectors; so many are compared one by one in half a millisecond
DEAD = 0.25  # of a segment; with more it is made anew
GROWTH = 2  # times as many vectors as its lists were made for; with more they are made anew


class View(NamedTuple):
    """The vectors as they were after one change; a search looks at one view, whatever happens meanwhile."""

    segment: "Segment | None"
    segment_alive: Bits
    tail: Tail
    tail_alive: Flags

    def search(self, query: Floats, k: int, among: Numbers | None = None) -> tuple[Numbers, Floats]:
        """The numbers and scores of the k best for a unit vector (D,), best first.

        Among all, or among these ascending numbers, of those that are there, and then exactly.
        """
        found = [self.tail.search(query, k, self.tail_alive, among)]
        if self.segment:
            found.append(self.segment.search(query, k, self.segment_alive, among))
        numbers, scores = (np.concatenate(each) for each in zip(*found, strict=True))
        best = np.lexsort((numbers, -scores))[:k]
        return numbers[best], scores[best].clip(-1, 1)  # 16-bit vectors may be a little longer than 1


class VectorIndex:
    """Unit vectors (D,), each with a number. Numbers only ever rise, and none comes twice.

    Changes come from one thread at a time; any number of threads search in `view`, and wait for nobody. What was added
    is in the next view: in its tail, until a thread in the background has made a segment of both. FAISS is imported
    when there are enough vectors for a segment.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.view = View(None, np.zeros(0, np.uint8), Tail(size), np.zeros(0, bool))
        self._dead = 0
        self._changing = threading.Lock()
        self._merging: threading.Thread | None = None
        self._merge_at = TAIL
        self._closed = False

    def load(self, numbers: Sequence[int] | Numbers, chunks: Iterable[Floats]) -> None:
        """Begin with these vectors (n, D), which come in chunks."""
        numbers = np.asarray(numbers, np.int64)
        if len(numbers) < TAIL:
            tail, start = self.view.tail, 0
            for chunk in chunks:
                tail.add(numbers[start : start + len(chunk)], chunk)
                start += len(chunk)
            self.view = self.view._replace(tail_alive=np.ones(len(tail), bool))
            return
        from app.contents.segment import flat

        segment = flat(numbers, chunks, self._size)
        self.view = self.view._replace(segment=segment, segment_alive=pack(np.ones(len(segment), bool)))
        self._merge_if_needed()

    def change(self, add: Sequence[tuple[int, Floats]], remove: Sequence[int]) -> None:
        """Add vectors by their numbers and remove some, all at one moment; what is added may be removed at once."""
        with self._changing:
            segment, alive, tail, tail_alive = self.view
            if add:
                tail.add(np.array([number for number, _ in add]), np.stack([vector for _, vector in add]))
                tail_alive = np.concatenate([tail_alive, np.ones(len(add), bool)])
            if remove:
                gone = np.array(remove, np.int64)
                tail_alive = tail_alive & ~np.isin(tail.part(0, len(tail))[0], gone)
                if segment:
                    alive = without(alive, segment.positions(gone))
                    self._dead += len(segment.positions(gone))
            self.view = View(segment, alive, tail, tail_alive)
        self._merge_if_needed()

    def close(self) -> None:
        """Wait for what runs in the background."""
        self._closed = True
        if self._merging:
            self._merging.join()

    def _merge_if_needed(self) -> None:
        if self._closed or (self._merging and self._merging.is_alive()):
            return
        if len(self.view.tail) >= self._merge_at or (self.view.segment and self._stale(self.view.segment, 0)):
            self._merging = threading.Thread(target=self._merge, name="contents index", daemon=True)
            self._merging.start()

    def _stale(self, segment: "Segment", more: int) -> bool:
        """Whether a segment is better made anew than extended."""
        from app.contents.segment import EXACT_UP_TO

        count = len(segment) + more
        return self._dead > DEAD * len(segment) or (count > EXACT_UP_TO and count > GROWTH * segment.trained_on)

    def _merge(self) -> None:
        """Make one segment of the segment and the tail, and swap it in with what changed meanwhile."""
        view = self.view
        try:
            segment, kept = self._merged(view)
        except Exception:  # the tail goes on growing, and searches go on, if more slowly
            self._merge_at = len(view.tail) + TAIL
            get_logger().exception("the index of the contents cannot be made anew")
            return
        with self._changing:
            now, taken = self.view, len(view.tail_alive)
            tail = Tail(self._size)
            tail.add(*now.tail.part(taken, len(now.tail)))
            alive = _flags(now._replace(tail_alive=now.tail_alive[:taken]))[kept]
            self._dead = int(len(alive) - alive.sum())
            self.view = View(segment, pack(alive), tail, now.tail_alive[taken:])
            self._merge_at = TAIL

    def _merged(self, view: View) -> "tuple[Segment | None, Flags]":
        """A segment of a view's vectors, and which of them are in it."""
        segment, _, tail, tail_alive = view
        numbers, vectors = tail.part(0, len(tail_alive))
        kept = _flags(view)
        if segment and not self._stale(segment, len(numbers)):
            kept[: len(segment)] = True
            return segment.extended(numbers[tail_alive], vectors[tail_alive]), kept
        from app.contents.segment import EXACT_UP_TO, flat, in_lists

        def chunks() -> Iterator[Floats]:
            start = 0
            for chunk in (*(segment.vectors() if segment else ()), vectors):
                yield chunk[kept[start : start + len(chunk)]]
                start += len(chunk)

        every = np.concatenate([*([segment.numbers] if segment else []), numbers])[kept]
        if len(every) > EXACT_UP_TO:
            return in_lists(every, chunks, self._size), kept
        return flat(every, chunks(), self._size) if len(every) else None, kept


def _flags(view: View) -> Flags:
    """Which vectors of a view are alive: the segment's, then the tail's."""
    count = len(view.segment) if view.segment else 0
    return np.concatenate([unpack(view.segment_alive, count), view.tail_alive])
