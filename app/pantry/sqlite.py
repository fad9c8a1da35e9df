"""The pantry in one SQLite file, shared by all processes on a machine."""

import sqlite3
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import NotFound, StoreUnavailable
from app.pantry import MAX_COUNT, Item, Status

_SCHEMA = "CREATE TABLE IF NOT EXISTS items (item TEXT PRIMARY KEY, count INTEGER NOT NULL CHECK (count >= 0)) STRICT"
_ADD = """INSERT INTO items VALUES (:item, :quantity)
          ON CONFLICT (item) DO UPDATE SET count = min(count + :quantity, :most) RETURNING count"""
_REMOVE = "UPDATE items SET count = max(count - :quantity, 0) WHERE item = :item RETURNING count"
_PUT = "INSERT INTO items VALUES (:item, :count) ON CONFLICT (item) DO UPDATE SET count = :count RETURNING count"


class SQLitePantry:
    """A PantryStore in one file. A change is one statement, and on the disk before the call returns."""

    def __init__(self, path: Path) -> None:
        """Opens the file, and makes it where there is none; raises StoreUnavailable."""
        self._lock = threading.Lock()
        self._changes = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the pantry's file {path} cannot be opened: {error}") from error

    def items(self) -> dict[str, int]:
        """All items by name, in the order of their names."""
        with self._use() as connection:
            return dict(connection.execute("SELECT item, count FROM items ORDER BY item").fetchall())

    def get(self, item: str) -> Item:
        """One item; raises NotFound."""
        with self._use() as connection:
            return _found(item, connection.execute("SELECT count FROM items WHERE item = ?", (item,)).fetchone())

    def put(self, item: str, count: int) -> Item:
        """Set an item's count."""
        return self._change(_PUT, item, count=count)

    def add(self, item: str, quantity: int) -> Item:
        """Add to an item's count, up to MAX_COUNT; an item that is not there starts from 0."""
        return self._change(_ADD, item, quantity=quantity, most=MAX_COUNT)

    def remove(self, item: str, quantity: int) -> Item:
        """Take from an item's count, down to 0 at most; raises NotFound."""
        return self._change(_REMOVE, item, quantity=quantity)

    def delete(self, item: str) -> None:
        """Remove the item itself; raises NotFound."""
        self._change("DELETE FROM items WHERE item = :item RETURNING count", item)

    def stamp(self) -> Hashable:
        """Changes of this process, and SQLite's own count of commits by others."""
        with self._use() as connection:
            return self._changes, connection.execute("PRAGMA data_version").fetchone()[0]

    def status(self) -> Status:
        """Always fresh: the file is read at every change."""
        return Status("ok", 0.0)

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        with self._lock:
            self._connection.close()

    def _change(self, statement: str, item: str, **values: int) -> Item:
        with self._use() as connection:
            rows = connection.execute(statement, {"item": item, **values}).fetchall()  # to the end: it commits there
            self._changes += 1
        return _found(item, rows[0] if rows else None)

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time, with SQLite's errors as ours."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise StoreUnavailable(f"the pantry's file cannot be used: {error}") from error


def _found(item: str, row: tuple[int] | None) -> Item:
    if row is None:
        raise NotFound(f"the pantry has no item {item!r}")
    return Item(item, row[0])
