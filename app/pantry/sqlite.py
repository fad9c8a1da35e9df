"""The pantry in one SQLite file, shared by all processes on a machine."""

import sqlite3
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.errors import StoreUnavailable
from app.pantry import Item, Key, Status
from app.pantry.changes import Change, check_same, not_there
from app.pantry.examples import Example
from app.pantry.sqlite_examples import SCHEMA, SQLiteExamples

KEYS_KEPT = 100_000
KEYS_KEPT_S = 24 * 3600

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS items (item TEXT PRIMARY KEY, count INTEGER NOT NULL CHECK (count >= 0)) STRICT;
    CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, request TEXT NOT NULL,
        item TEXT NOT NULL, count INTEGER NOT NULL, removed INTEGER NOT NULL, at REAL NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS keys_at ON keys (at);
"""
_PUT = "INSERT INTO items VALUES (:item, :count) ON CONFLICT (item) DO UPDATE SET count = :count"
_FORGET = "DELETE FROM keys WHERE at < :oldest OR number <= (SELECT max(number) FROM keys) - :most"
_REMEMBER = "INSERT INTO keys (key, request, item, count, removed, at) VALUES (?, ?, ?, ?, ?, ?)"


class SQLitePantry:
    """A PantryStore in one file. A change is one transaction, and on the disk before the call returns."""

    def __init__(self, path: Path) -> None:
        """Opens the file, and makes it where there is none; raises StoreUnavailable."""
        self._lock = threading.Lock()
        self._changes = 0
        self._examples = SQLiteExamples()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(_SCHEMA + SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the pantry's file {path} cannot be opened: {error}") from error

    def items(self) -> dict[str, int]:
        """All items by name, in the order of their names."""
        with self._use() as connection:
            return dict(connection.execute("SELECT item, count FROM items ORDER BY item").fetchall())

    def get(self, item: str) -> Item:
        """One item; raises NotFound."""
        with self._use() as connection:
            count = _count(connection, item)
        if count is None:
            raise not_there(item)
        return Item(item, count)

    def put(self, item: str, count: int, key: Key | None = None) -> Item:
        """Set an item's count."""
        return self._change(Change("put", item, count), key)

    def add(self, item: str, quantity: int, key: Key | None = None) -> Item:
        """Add to an item's count, up to MAX_COUNT; an item that is not there starts from 0."""
        return self._change(Change("add", item, quantity), key)

    def remove(self, item: str, quantity: int, key: Key | None = None) -> Item:
        """Take from an item's count, down to 0 at most; raises NotFound."""
        return self._change(Change("remove", item, quantity), key)

    def delete(self, item: str, key: Key | None = None) -> None:
        """Remove the item itself, and its examples; raises NotFound."""
        self._change(Change("delete", item), key)

    def examples(self) -> list[Example]:
        """All examples, in the order in which they were taught."""
        with self._use() as connection:
            return self._examples.read(connection)

    def teach(self, item: str, examples: Sequence[Example]) -> None:
        """Keep examples of an item, which comes to be where it is not there; raises InvalidRequest."""
        with self._use() as connection, _transaction(connection):
            self._examples.teach(connection, item, examples)
            self._changes += 1

    def forget(self, item: str, ids: Sequence[str] | None = None) -> int:
        """Remove examples of an item; raises NotFound."""
        with self._use() as connection, _transaction(connection):
            self._changes += 1
            return self._examples.forget(connection, item, ids)

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

    def _change(self, change: Change, key: Key | None) -> Item:
        """Carry out a change, unless its key says that it was; the key is stored in the same transaction."""
        with self._use() as connection, _transaction(connection):
            if key and (answer := _remembered(connection, key)):
                return answer
            item = change.applied(_count(connection, change.item))
            if change.operation == "delete":
                connection.execute("DELETE FROM items WHERE item = ?", (item.item,))
            else:
                connection.execute(_PUT, {"item": item.item, "count": item.count})
            if key:
                now = time.time()
                connection.execute(_FORGET, {"oldest": now - KEYS_KEPT_S, "most": KEYS_KEPT - 1})
                connection.execute(_REMEMBER, (key.text, key.request, item.item, item.count, item.removed, now))
            self._changes += 1
            return item

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time, with SQLite's errors as ours."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise StoreUnavailable(f"the pantry's file cannot be used: {error}") from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, with the file reserved from the start, so that what is read stays true until it is written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _count(connection: sqlite3.Connection, item: str) -> int | None:
    row = connection.execute("SELECT count FROM items WHERE item = ?", (item,)).fetchone()
    return row[0] if row else None


def _remembered(connection: sqlite3.Connection, key: Key) -> Item | None:
    """The answer that the key's change got, or None when it is new; raises InvalidRequest for another request."""
    row = connection.execute("SELECT request, item, count, removed FROM keys WHERE key = ?", (key.text,)).fetchone()
    if row is None:
        return None
    check_same(key, row[0])
    return Item(*row[1:])
