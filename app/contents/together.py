"""Group commit: changes that many threads ask for at once are carried out in one transaction."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from app.deadline import deadline_in, seconds_left
from app.errors import StoreUnavailable
from app.sqlite_file import TIMEOUT_S

Change = TypeVar("Change")
Answer = TypeVar("Answer")
MARGIN_S = 0.25  # by which a caller's wait exceeds the deadline of the file, so that it hears what became of its change
MOST = 256  # changes in one transaction: bounds how long the first of them waits for the last


class Together(Generic[Change, Answer]):
    """Calls `carry_out`, in a thread of its own, with every change that waits.

    A transaction waits for the disk once, however many changes are in it; while it does, the next ones gather.
    `carry_out` gives an answer, or an exception, for each change; what it raises is every caller's of that call.
    """

    def __init__(self, carry_out: Callable[[Sequence[Change]], Sequence[Answer | Exception]]) -> None:
        self._carry_out = carry_out
        self._waiting: queue.SimpleQueue[tuple[Change, Future[Answer], float] | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="contents changes", daemon=True)
        self._thread.start()

    def __call__(self, change: Change) -> Answer:
        """The answer to one change, once it is carried out; raises StoreUnavailable when closed or out of time."""
        answer: Future[Answer] = Future()
        left = seconds_left(TIMEOUT_S)
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the contents are being closed; nothing was stored")
            self._waiting.put((change, answer, time.monotonic() + left))
        try:
            return answer.result(left + MARGIN_S)
        except TimeoutError:
            outcome = "nothing was stored" if answer.cancel() else "it is not known whether the change was stored"
            raise StoreUnavailable(f"the contents: too many changes wait for the file; {outcome}") from None

    def close(self) -> None:
        """Carry out what waits, take nothing more, and end."""
        with self._closing:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            group = [self._waiting.get()]
            while group[-1] and len(group) < MOST and not self._waiting.empty():
                group.append(self._waiting.get())
            more = group[-1] is not None
            if changes := [each for each in group if each and each[1].set_running_or_notify_cancel()]:
                self._answer(changes)

    def _answer(self, group: Sequence[tuple[Change, Future[Answer], float]]) -> None:
        first = min(deadline for *_, deadline in group)
        try:
            with deadline_in(first - time.monotonic()):
                answers = self._carry_out([change for change, *_ in group])
        except Exception as error:  # whatever it is, the callers have to hear of it
            answers = [error] * len(group)
        for (_, future, _), answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
