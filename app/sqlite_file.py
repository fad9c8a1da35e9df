"""A SQLite file: one writer, readers that do not wait for it, and a deadline for everything that waits."""

import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.deadline import seconds_left
from app.errors import StoreUnavailable

TIMEOUT_S = 4.0  # for one use of a file, including the wait for its locks
_NOT_STORED = "; nothing was stored"
_PERHAPS_STORED = "; it is not known whether the change was stored"


class SQLiteFile:
    """A durable file in WAL mode: committed changes survive a loss of power.

    SQLite's errors become StoreUnavailable, whose message tells the outcome of a change. `name` is the file's name in
    messages, `max_bytes` the size at which it counts as full.
    """

    def __init__(
        self, name: str, path: Path, schema: str, *, max_bytes: int | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Open the file, created if missing and readable only by its owner. Raises StoreUnavailable."""
        self.name = name
        self.path = path
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        try:
            make_private(path)
            self.writer = self.connect()
            self.writer.execute("PRAGMA journal_mode = WAL")
            self.writer.execute("PRAGMA synchronous = FULL")
            self.writer.execute("PRAGMA foreign_keys = ON")
            self.writer.executescript(f"BEGIN; {schema} COMMIT")
            if max_bytes:
                page_bytes = self.writer.execute("PRAGMA page_size").fetchone()[0]
                self.writer.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self.name}: {path} cannot be opened: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all or nothing through the writer, one thread at a time.

        The write lock is taken at the start, so that what is read stays valid until the commit.
        """
        deadline, outcome = time.monotonic() + seconds_left(self._timeout_s), _NOT_STORED
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise StoreUnavailable(f"{self.name}: too many changes wait for {self.path.name}{_NOT_STORED}")
        try:
            _wait_at_most(self.writer, deadline - time.monotonic())
            self.writer.execute("BEGIN IMMEDIATE")
            try:
                yield self.writer
                outcome = _PERHAPS_STORED
                self.writer.execute("COMMIT")
            finally:
                if self.writer.in_transaction:
                    self.writer.execute("ROLLBACK")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                allowed = f" (LARDER_MAX_STORE allows {self._max_bytes:,} bytes)" if self._max_bytes else ""
                outcome = allowed + _NOT_STORED
            raise self._failed(error, outcome) from error
        finally:
            self._lock.release()

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Borrow a connection that no other thread uses meanwhile: in WAL mode it does not wait for the writer."""
        with self.failures():
            try:
                reader = self._readers.get_nowait()
            except queue.Empty:
                reader = self.connect()
            _wait_at_most(reader, seconds_left(self._timeout_s))
            yield reader
        self._readers.put(reader)  # after an error it is discarded instead: a transaction may be open on it

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Map SQLite's errors to StoreUnavailable."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def connect(self) -> sqlite3.Connection:
        """Open a separate connection, for one thread at a time."""
        return sqlite3.connect(self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)

    def close(self) -> None:
        """Close every connection; acknowledged changes are in the file."""
        with self._lock:
            self.writer.close()
        while not self._readers.empty():
            self._readers.get_nowait().close()

    def _failed(self, error: sqlite3.Error, outcome: str = "") -> StoreUnavailable:
        return StoreUnavailable(f"{self.name}: {self.path.name} cannot be used: {error}{outcome}")


def make_private(path: Path) -> None:
    """Create an empty file that only its owner may read, and its folder, if they are missing. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)


def _wait_at_most(connection: sqlite3.Connection, seconds: float) -> None:
    """Limit how long SQLite waits for another process's lock."""
    connection.execute(f"PRAGMA busy_timeout = {max(1, round(seconds * 1000))}")
