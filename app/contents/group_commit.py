"""Changes of the contents, and group commit: concurrent changes share one transaction."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from app.contents import Content
from app.deadline import deadline_in, seconds_left
from app.errors import StoreUnavailable
from app.sqlite_file import TIMEOUT_S

MARGIN_S = 0.25  # by which a caller's wait exceeds the file's deadline, so that it learns the outcome of its change
MAX_GROUP = 256  # changes in one transaction; bounds how long the first of them waits for the last


@dataclass(frozen=True)
class Put:
    """Store an entry; with `unless_equal`, only if no entry has exactly this vector."""

    content: Content
    vector: bytes
    unless_equal: bool = False


@dataclass(frozen=True)
class Delete:
    """Remove an entry."""

    id: str


@dataclass(frozen=True)
class DeleteCollection:
    """Delete at most `most` entries of a collection."""

    collection: str
    most: int


@dataclass(frozen=True)
class RenameCollection:
    """Move at most `most` entries of a collection to another."""

    old: str
    new: str
    most: int


Change = Put | Delete | DeleteCollection | RenameCollection


@dataclass(frozen=True)
class Done:
    """The outcome of a change: the number added or removed, the id of an entry with an equal vector, a count."""

    added: int | None = None
    removed: int | None = None
    equal: str | None = None
    count: int = 0


class GroupCommit:
    """Calls `commit`, in its own thread, with all waiting changes.

    A transaction waits for the disk once for all changes in it; meanwhile the next ones queue up. `commit` returns a
    result or an exception for each change; an exception that it raises goes to every caller in the group.
    """

    def __init__(self, commit: Callable[[Sequence[Change]], Sequence[Done | Exception]]) -> None:
        self._commit = commit
        self._waiting: queue.SimpleQueue[tuple[Change, Future[Done], float] | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="contents changes", daemon=True)
        self._thread.start()

    def __call__(self, change: Change) -> Done:
        """Commit one change and return its result; raises StoreUnavailable if closed or out of time."""
        result: Future[Done] = Future()
        left = seconds_left(TIMEOUT_S)
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the contents are being closed; nothing was stored")
            self._waiting.put((change, result, time.monotonic() + left))
        try:
            return result.result(left + MARGIN_S)
        except TimeoutError:
            outcome = "nothing was stored" if result.cancel() else "it is not known whether the change was stored"
            raise StoreUnavailable(f"the contents: too many changes wait for the file; {outcome}") from None

    def close(self) -> None:
        """Commit waiting changes, refuse later ones, and end the thread."""
        with self._closing:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            group = [self._waiting.get()]
            while group[-1] and len(group) < MAX_GROUP and not self._waiting.empty():
                group.append(self._waiting.get())
            more = group[-1] is not None
            if changes := [each for each in group if each and each[1].set_running_or_notify_cancel()]:
                self._resolve(changes)

    def _resolve(self, group: Sequence[tuple[Change, Future[Done], float]]) -> None:
        first = min(deadline for *_, deadline in group)
        try:
            with deadline_in(first - time.monotonic()):
                results = self._commit([change for change, *_ in group])
        except Exception as error:  # every waiting caller must get it
            results = [error] * len(group)
        for (_, future, _), result in zip(group, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
