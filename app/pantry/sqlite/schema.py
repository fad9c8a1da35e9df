"""Schema of the pantry's SQLite file, and the migration of files of earlier releases."""

import sqlite3
from collections.abc import Mapping

from app.errors import InvalidRequest
from app.log import get_logger
from app.pantry import MAX_COUNT, item_name
from app.pantry.sqlite.items import write
from app.sqlite_file import SQLiteFile
from app.text import normalise

SCHEMA = """
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
    CREATE TABLE IF NOT EXISTS journal (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, by TEXT NOT NULL,
        request TEXT NOT NULL, action TEXT NOT NULL, item TEXT NOT NULL, name TEXT NOT NULL, before INTEGER,
        after INTEGER, undoes INTEGER, undone_by INTEGER) STRICT;
    CREATE INDEX IF NOT EXISTS journal_name ON journal (name, number);
    CREATE INDEX IF NOT EXISTS journal_at ON journal (at);
    CREATE TABLE IF NOT EXISTS barcodes (code TEXT PRIMARY KEY, item TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""  # the revision increases with names and examples, whatever program changes them, and not with counts
# In the journal `name` is the normalised name of the item


def upgrade(file: SQLiteFile) -> None:
    """Migrate a file to this release."""
    if not _has_callers(file.writer):  # a file of an earlier release, or a new one
        with file.transaction() as writer:
            _add_callers(writer)
    if _other_spellings(_items(file.writer)):  # an earlier release stored them as several items
        with file.transaction() as writer:
            _unite_spellings(writer)


def _items(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT item, count FROM items ORDER BY item").fetchall())


def _other_spellings(items: Mapping[str, int]) -> dict[str, list[str]]:
    """Map each name to the items that are spellings of it, if these are not the one item of that name.

    Skips names that are no longer valid.
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
    """Merge the items of each name, adding their counts and keeping all examples."""
    items = _items(connection)
    for name, same in _other_spellings(items).items():
        total = min(sum(items[item] for item in same), MAX_COUNT)
        write(connection, name, total)
        for item in same:
            connection.execute("UPDATE examples SET item = ? WHERE item = ?", (name, item))
            connection.execute("DELETE FROM items WHERE item = ? AND item != ?", (item, name))
        get_logger().info("merged spellings of one item", item=name, spellings=same, count=total)


def _has_callers(connection: sqlite3.Connection) -> bool:
    return any(column[1] == "caller" for column in connection.execute("PRAGMA table_info(keys)"))


def _add_callers(connection: sqlite3.Connection) -> None:
    """Add the column `caller` to the keys, unless another process has done so."""
    if not _has_callers(connection):
        connection.execute("ALTER TABLE keys ADD COLUMN caller TEXT NOT NULL DEFAULT ''")
        connection.execute("CREATE INDEX keys_caller ON keys (caller, number)")
