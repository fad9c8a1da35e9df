"""The examples in the pantry's SQLite file; an item that is deleted takes its own with it."""

import sqlite3
from collections.abc import Sequence

from app.pantry.examples import Example, check_room, chosen, from_bytes, to_bytes

SCHEMA = """
    CREATE TABLE IF NOT EXISTS examples (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        item TEXT NOT NULL REFERENCES items ON DELETE CASCADE, model TEXT NOT NULL, vector BLOB NOT NULL,
        at REAL NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS examples_item ON examples (item);
"""
_VERSION = "SELECT (SELECT count(*) FROM examples), (SELECT seq FROM sqlite_sequence WHERE name = 'examples')"
_READ = "SELECT id, item, model, vector, at FROM examples ORDER BY number"
_KEEP = "INSERT INTO examples (id, item, model, vector, at) VALUES (?, ?, ?, ?, ?)"


class SQLiteExamples:
    """Reads and writes them through a connection that is handed in; read once, they are kept until they change."""

    def __init__(self) -> None:
        self._version: tuple[int, int] | None = None
        self._examples: list[Example] = []

    def read(self, connection: sqlite3.Connection) -> list[Example]:
        """All of them, in the order in which they were taught; how many there are and ever were tells of changes."""
        version = connection.execute(_VERSION).fetchone()
        if version != self._version:
            rows = connection.execute(_READ)
            self._examples = [Example(id, item, model, from_bytes(data), at) for id, item, model, data, at in rows]
            self._version = version
        return list(self._examples)

    @staticmethod
    def teach(connection: sqlite3.Connection, item: str, examples: Sequence[Example]) -> None:
        """Keep examples; raises InvalidRequest."""
        have = _ids(connection, item)
        new = {each.id: each for each in examples if each.id not in have}
        check_room(item, len(have), len(new))
        connection.execute("INSERT OR IGNORE INTO items VALUES (?, 0)", (item,))
        rows = [(id, item, each.model, to_bytes(each.vector), each.at) for id, each in new.items()]
        connection.executemany(_KEEP, rows)

    @staticmethod
    def forget(connection: sqlite3.Connection, item: str, ids: Sequence[str] | None) -> int:
        """Remove them; raises NotFound."""
        gone = chosen(item, _ids(connection, item), ids)
        connection.executemany("DELETE FROM examples WHERE id = ?", [(id,) for id in gone])
        return len(gone)


def _ids(connection: sqlite3.Connection, item: str) -> list[str]:
    return [id for (id,) in connection.execute("SELECT id FROM examples WHERE item = ? ORDER BY number", (item,))]
