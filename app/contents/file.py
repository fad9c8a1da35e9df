"""One SQLite file with one writer, and readers that wait for no writer."""

import queue
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import StoreUnavailable


class File:
    """Whatever SQLite raises becomes StoreUnavailable; what was committed survives the loss of power."""

    def __init__(self, path: Path, schema: str) -> None:
        """Opens the file, and makes it where there is none; raises StoreUnavailable."""
        self.path = path
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = self._connect()
            self.writer.execute("PRAGMA journal_mode = WAL")
            self.writer.execute("PRAGMA synchronous = FULL")
            self.writer.executescript(f"BEGIN; {schema} COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the contents' file {path} cannot be opened: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, through the writer; one thread at a time."""
        with _our_errors():
            self.writer.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.writer.execute("COMMIT")
            finally:
                if self.writer.in_transaction:
                    self.writer.execute("ROLLBACK")

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection that no other thread uses meanwhile: in WAL mode it waits for no writer."""
        with _our_errors():
            try:
                reader = self._readers.get_nowait()
            except queue.Empty:
                reader = self._connect()
            yield reader
            self._readers.put(reader)

    def close(self) -> None:
        """Close every connection."""
        self.writer.close()
        while not self._readers.empty():
            self._readers.get_nowait().close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False)


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the contents' file cannot be used: {error}") from error
