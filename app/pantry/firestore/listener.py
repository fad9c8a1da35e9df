"""Listen to a collection until closed; a lost or silent stream is reopened with exponential backoff.

The library's `on_snapshot` makes the same call, but does not detect a silent stream, reopens a broken one without a
pause, and takes time per change that grows with the collection: docs/firestore.md has the figures.
"""

import random
import threading
import time
from typing import Any

import grpc  # type: ignore[import-untyped]

from app.log import get_logger
from app.pantry.firestore.connection import Connection
from app.pantry.firestore.document_cache import DocumentCache
from app.pantry.firestore.stream import Position, Stream, StreamError

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds of backoff, doubled each time
_MAY_GO_ON = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED")
"""Statuses after which the stream may resume at its position."""


class Listener:
    """Keeps a document cache current in its own thread, from `start` to `close`."""

    def __init__(self, connection: Connection, collection: str, memory: DocumentCache[Any]) -> None:
        self._connection = connection
        self._collection = collection
        self._memory = memory
        self._position = Position()
        self._closed = threading.Event()
        self._tried = threading.Event()
        self._first_snapshot = threading.Event()
        self._thread = threading.Thread(target=self._run, name="firestore-listener", daemon=True)
        self._stream: Stream | None = None
        self._current_at = time.monotonic()
        self.live = False
        """Whether the connection to Firestore is up."""
        self.problem = ""
        """The reason, in one line that begins with a status name such as gRPC's."""

    def start(self) -> None:
        """Start listening."""
        self._thread.start()

    def wait(self, seconds: float, *, patient: bool = False) -> bool:
        """Wait for the first snapshot or, unless `patient`, the first failure; return whether there was a snapshot."""
        (self._first_snapshot if patient else self._tried).wait(seconds)
        return self.has_snapshot

    @property
    def has_snapshot(self) -> bool:
        """Return whether a first snapshot has arrived."""
        return self._first_snapshot.is_set()

    def age(self) -> float:
        """Return the seconds since Firestore last reported a complete snapshot, or since the start."""
        return time.monotonic() - self._current_at

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        if self._stream:
            self._stream.cancel()
        self._thread.join(5)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            self._stream = Stream(self._connection, self._collection, self._memory, self._position)
            try:
                for at in self._stream.snapshots():
                    self._on_snapshot(at)
                    pause = FIRST_PAUSE
                self._on_failure("ENDED: Firestore has closed the stream")
            except grpc.RpcError as error:
                if error.code().name not in _MAY_GO_ON:
                    self._position.token = b""
                self._on_failure(f"{error.code().name}: {error.details()}")
            except StreamError as error:
                self._on_failure(str(error))
            except Exception as error:  # the listener must survive any failure of a stream
                self._on_failure(f"{type(error).__name__}: {error}")
            self._closed.wait(pause * random.uniform(0.5, 1))  # noqa: S311 - to spread a fleet, not to keep a secret
            pause = min(2 * pause, LONGEST_PAUSE)

    def _on_snapshot(self, at: float) -> None:
        self._current_at = at
        if not self.live:
            documents = len(self._memory)
            get_logger().info("Firestore connected", collection=self._collection, documents=documents)
        self.live, self.problem = True, ""
        self._first_snapshot.set()
        self._tried.set()

    def _on_failure(self, problem: str) -> None:
        self.live = False
        known = self.problem.partition(":")[0] == problem.partition(":")[0]  # one line per status
        if not known and not self._closed.is_set():
            get_logger().warning("Firestore connection lost", collection=self._collection, problem=problem)
        self.problem = problem
        self._tried.set()
