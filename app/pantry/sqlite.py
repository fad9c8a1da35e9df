"""The pantry in one SQLite file, shared by all processes on a machine."""

import sqlite3
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from app.errors import InvalidRequest
from app.log import get_logger
from app.pantry import MAX_COUNT, MAX_ITEMS, Item, Key, Status, item_name
from app.pantry.changes import Change, check_room_for_item, check_same, not_there
from app.pantry.examples import Example, check_room, chosen, from_bytes, not_kept_yet, to_bytes
from app.sqlite_file import TIMEOUT_S, SQLiteFile
from app.text import normalise

KEYS_KEPT = 100_000  # of each caller, so that none can push out the keys of another
KEYS_KEPT_S = 24 * 3600

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS items (item TEXT PRIMARY KEY, count INTEGER NOT NULL CHECK (count >= 0)) STRICT;
    CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, request TEXT NOT NULL,
        item TEXT NOT NULL, count INTEGER NOT NULL, removed INTEGER NOT NULL, at REAL NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS keys_at ON keys (at);
    CREATE TABLE IF NOT EXISTS examples (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        item TEXT NOT NULL REFERENCES items ON DELETE CASCADE, model TEXT NOT NULL, vector BLOB NOT NULL,
        at REAL NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS examples_item ON examples (item);
    CREATE TABLE IF NOT EXISTS revision (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL) STRICT;
    CREATE TRIGGER IF NOT EXISTS item_new AFTER INSERT ON items
        BEGIN INSERT INTO revision VALUES (1, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
    CREATE TRIGGER IF NOT EXISTS item_gone AFTER DELETE ON items
        BEGIN INSERT INTO revision VALUES (1, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
    CREATE TRIGGER IF NOT EXISTS item_named AFTER UPDATE OF item ON items
        BEGIN INSERT INTO revision VALUES (1, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
    CREATE TRIGGER IF NOT EXISTS example_new AFTER INSERT ON examples
        BEGIN INSERT INTO revision VALUES (1, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
    CREATE TRIGGER IF NOT EXISTS example_gone AFTER DELETE ON examples
        BEGIN INSERT INTO revision VALUES (1, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
    CREATE TRIGGER IF NOT EXISTS example_moved AFTER UPDATE OF item ON examples
        BEGIN INSERT INTO revision VALUES (1, 1) ON CONFLICT DO UPDATE SET number = number + 1; END;
"""  # the revision grows with names and examples, whatever program changes them, and not with counts
_FIND = "SELECT item, count FROM items WHERE item = ?"
_ALIKE = "SELECT item, count FROM items WHERE item = ? OR item GLOB '*[^ -~]*' ORDER BY item"
_PUT = "INSERT INTO items VALUES (:item, :count) ON CONFLICT (item) DO UPDATE SET count = :count"
_EXPIRE_KEYS = "DELETE FROM keys WHERE at < ?"
_EVICT_KEYS = """DELETE FROM keys WHERE caller = :caller AND number <=
                 (SELECT number FROM keys WHERE caller = :caller ORDER BY number DESC LIMIT 1 OFFSET :kept)"""
_KEEP_KEY = "INSERT INTO keys (key, request, item, count, removed, at, caller) VALUES (?, ?, ?, ?, ?, ?, ?)"
_REVISION = "SELECT coalesce(max(number), 0) FROM revision"
_EXAMPLES = "SELECT number, id, item, model, vector, at FROM examples WHERE number > ? ORDER BY number"
_KEEP_EXAMPLE = "INSERT INTO examples (id, item, model, vector, at) VALUES (?, ?, ?, ?, ?)"


class SQLitePantry:
    """A PantryStore in one file. A change is one transaction, and on the disk before the call returns."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int | None = None,
        timeout_s: float = TIMEOUT_S,
        keys_kept: int = KEYS_KEPT,
        max_items: int = MAX_ITEMS,
    ) -> None:
        """Opens the file, and makes it where there is none; raises StoreUnavailable."""
        self._file = SQLiteFile("the pantry", path, _SCHEMA, max_bytes=max_bytes, timeout_s=timeout_s)
        self._keys_kept = keys_kept
        self._max_items = max_items
        if not _has_callers(self._file.writer):  # a file of an earlier release, or a new one
            with self._file.transaction() as writer:
                _add_callers(writer)
        if _other_spellings(self.items()):  # an earlier release took them for several items
            with self._file.transaction() as writer:
                _unite_spellings(writer)
        self._examples: tuple[int, dict[int, Example]] = (-1, {})  # revision, and the examples of it by number

    def items(self) -> dict[str, int]:
        """All items by name, in the order of their names."""
        with self._file.reader() as reader:
            return dict(reader.execute("SELECT item, count FROM items ORDER BY item").fetchall())

    def get(self, item: str) -> Item:
        """One item; raises NotFound."""
        with self._file.reader() as reader:
            found = _find(reader, item)
        if found is None:
            raise not_there(item)
        return found

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
        """All examples, in the order in which they were taught; only new ones are read."""
        with self._file.reader() as reader:
            reader.execute("BEGIN")
            revision = reader.execute(_REVISION).fetchone()[0]
            known, examples = self._examples
            if revision != known:
                items = dict(reader.execute("SELECT number, item FROM examples ORDER BY number").fetchall())
                if any(each.item != items.get(number, each.item) for number, each in examples.items()):
                    examples = {}  # another program has renamed items
                rows = reader.execute(_EXAMPLES, (max(examples, default=0),))
                examples = examples | {
                    number: Example(id, item, model, from_bytes(data), at) for number, id, item, model, data, at in rows
                }
                examples = {number: examples[number] for number in items}
                self._examples = (revision, examples)
            reader.execute("COMMIT")
        return list(examples.values())

    def teach(self, item: str, examples: Sequence[Example]) -> None:
        """Keep examples of an item, which is made where it is not there; raises InvalidRequest."""
        with self._file.transaction() as writer:
            item = _own_name(writer, item)
            have = _example_ids(writer, item)
            new = not_kept_yet(examples, have)
            check_room(item, len(have), len(new))
            if _find(writer, item) is None:
                check_room_for_item(item, _item_count(writer), self._max_items)
            writer.execute("INSERT OR IGNORE INTO items VALUES (?, 0)", (item,))
            rows = [(each.id, item, each.model, to_bytes(each.vector), each.at) for each in new]
            writer.executemany(_KEEP_EXAMPLE, rows)

    def forget(self, item: str, ids: Sequence[str] | None = None) -> int:
        """Remove examples of an item; raises NotFound."""
        with self._file.transaction() as writer:
            item = _own_name(writer, item)
            gone = chosen(item, _example_ids(writer, item), ids)
            writer.executemany("DELETE FROM examples WHERE id = ?", [(id,) for id in gone])
        return len(gone)

    def stamp(self) -> Hashable:
        """The revision of names and examples, which triggers keep in the file."""
        with self._file.reader() as reader:
            return int(reader.execute(_REVISION).fetchone()[0])

    def status(self) -> Status:
        """Always fresh: the file is read at every change."""
        return Status("ok", 0.0)

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        self._file.close()

    def _change(self, change: Change, key: Key | None) -> Item:
        """Carry out a change, unless its key says that it was; the key is stored in the same transaction."""
        with self._file.transaction() as writer:
            now = time.time()
            if key:
                writer.execute(_EXPIRE_KEYS, (now - KEYS_KEPT_S,))
                if answer := _first_answer(writer, key):
                    return answer
            found = _find(writer, change.item)
            change = replace(change, item=found.item if found else change.item)
            item = change.applied(found.count if found else None)
            if found is None:
                check_room_for_item(item.item, _item_count(writer), self._max_items)
            if change.operation == "delete":
                writer.execute("DELETE FROM items WHERE item = ?", (item.item,))
            else:
                writer.execute(_PUT, {"item": item.item, "count": item.count})
            if key:
                row = (key.id, key.request, item.item, item.count, item.removed, now, key.caller)
                number = writer.execute(_KEEP_KEY, row).lastrowid or 0
                if number % max(1, self._keys_kept // 1000) == 0:  # it reads all keys of the caller
                    writer.execute(_EVICT_KEYS, {"caller": key.caller, "kept": self._keys_kept})
            return item


def _find(connection: sqlite3.Connection, item: str) -> Item | None:
    """The item as it is stored: under this spelling, or else under another one of the same name."""
    if row := connection.execute(_FIND, (item,)).fetchone():
        return Item(*row)
    key = normalise(item)  # which is also how a name in ASCII is spelled
    rows = connection.execute(_ALIKE, (key,))
    return next((Item(*row) for row in rows if normalise(row[0]) == key), None)


def _item_count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])


def _own_name(connection: sqlite3.Connection, item: str) -> str:
    found = _find(connection, item)
    return found.item if found else item


def _other_spellings(items: Mapping[str, int]) -> dict[str, list[str]]:
    """Each name with the items that are spellings of it, where these are not the one item of that name.

    Names that are no longer valid are left out.
    """
    spellings: dict[str, list[str]] = {}
    for item in items:
        spellings.setdefault(normalise(item), []).append(item)
    found = {}
    for same in spellings.values():
        try:
            name = next((item for item in same if item_name(item) == item), item_name(same[0]))
        except InvalidRequest as error:
            get_logger().warning("stored item has an invalid name", reason=str(error))
        else:
            found[name] = same
    return {name: same for name, same in found.items() if same != [name]}


def _unite_spellings(connection: sqlite3.Connection) -> None:
    """Make one item of each name, with the sum of the counts and all examples."""
    items = dict(connection.execute("SELECT item, count FROM items ORDER BY item").fetchall())
    for name, same in _other_spellings(items).items():
        total = min(sum(items[item] for item in same), MAX_COUNT)
        connection.execute(_PUT, {"item": name, "count": total})
        for item in same:
            connection.execute("UPDATE examples SET item = ? WHERE item = ?", (name, item))
            connection.execute("DELETE FROM items WHERE item = ? AND item != ?", (item, name))
        get_logger().info("merged spellings of one item", item=name, spellings=same, count=total)


def _example_ids(connection: sqlite3.Connection, item: str) -> list[str]:
    return [id for (id,) in connection.execute("SELECT id FROM examples WHERE item = ? ORDER BY number", (item,))]


def _has_callers(connection: sqlite3.Connection) -> bool:
    return any(column[1] == "caller" for column in connection.execute("PRAGMA table_info(keys)"))


def _add_callers(connection: sqlite3.Connection) -> None:
    """Add the column of keys that says whose they are, unless another process was faster."""
    if not _has_callers(connection):
        connection.execute("ALTER TABLE keys ADD COLUMN caller TEXT NOT NULL DEFAULT ''")
        connection.execute("CREATE INDEX keys_caller ON keys (caller, number)")


def _first_answer(connection: sqlite3.Connection, key: Key) -> Item | None:
    """The answer that the key's change got, or None when it is new; raises InvalidRequest for another request."""
    row = connection.execute("SELECT request, item, count, removed FROM keys WHERE key = ?", (key.id,)).fetchone()
    if row is None:
        return None
    check_same(key, row[0])
    return Item(*row[1:])
