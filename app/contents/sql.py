"""SQL of the contents' file: its schema, its statements, and the condition of a search."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.contents import Where
from app.contents.metadata import Condition, Scalar, kind

SCHEMA = """
    CREATE TABLE IF NOT EXISTS models (model INTEGER PRIMARY KEY, checksum TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS contents (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,
        type TEXT NOT NULL, text TEXT, collection TEXT NOT NULL, metadata TEXT NOT NULL, gone REAL) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS contents_ids ON contents (id) WHERE gone IS NULL;
    CREATE INDEX IF NOT EXISTS contents_kinds ON contents (collection, type, gone);
    CREATE INDEX IF NOT EXISTS contents_collections ON contents (collection) WHERE gone IS NULL;
    CREATE INDEX IF NOT EXISTS contents_gone ON contents (gone) WHERE gone IS NOT NULL;
    CREATE TABLE IF NOT EXISTS vectors (number INTEGER PRIMARY KEY, model INTEGER NOT NULL, digest BLOB NOT NULL,
        vector BLOB NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS vectors_models ON vectors (model);
    CREATE INDEX IF NOT EXISTS vectors_digests ON vectors (digest);
    CREATE TABLE IF NOT EXISTS pictures (number INTEGER PRIMARY KEY, thumbnail BLOB, picture BLOB) STRICT;
    CREATE TABLE IF NOT EXISTS picture_files (number INTEGER PRIMARY KEY, width INTEGER NOT NULL,
        height INTEGER NOT NULL, bytes INTEGER NOT NULL, stored_at REAL NOT NULL, fingerprint TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS facts (key TEXT NOT NULL, value ANY NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (key, value, number)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS removals (turn INTEGER PRIMARY KEY AUTOINCREMENT,
        number INTEGER NOT NULL UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS counts (collection TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TRIGGER IF NOT EXISTS count_added AFTER INSERT ON contents WHEN new.gone IS NULL BEGIN
        INSERT INTO counts VALUES (new.collection, 1) ON CONFLICT (collection) DO UPDATE SET count = count + 1; END;
    CREATE TRIGGER IF NOT EXISTS count_removed AFTER UPDATE OF gone ON contents
        WHEN old.gone IS NULL AND new.gone IS NOT NULL BEGIN
        UPDATE counts SET count = count - 1 WHERE collection = new.collection; END;
    CREATE TRIGGER IF NOT EXISTS count_renamed AFTER UPDATE OF collection ON contents WHEN new.gone IS NULL BEGIN
        UPDATE counts SET count = count - 1 WHERE collection = old.collection;
        INSERT INTO counts VALUES (new.collection, 1) ON CONFLICT (collection) DO UPDATE SET count = count + 1; END;
    INSERT INTO counts SELECT collection, count(*) FROM contents
        WHERE gone IS NULL AND NOT EXISTS (SELECT 1 FROM counts) GROUP BY collection;
"""
FILE = "width, height, bytes, stored_at, fingerprint"
GET = f"""SELECT {FILE}, id, type, text, collection, metadata, thumbnail FROM contents
           LEFT JOIN pictures USING (number) LEFT JOIN picture_files USING (number)
           WHERE id = ? AND gone IS NULL"""  # noqa: S608 - only constants
PAGE = f"""SELECT number, model, vector, {FILE}, id, type, text, collection, metadata, thumbnail,
                   CASE WHEN ? THEN picture END
            FROM contents JOIN vectors USING (number) LEFT JOIN pictures USING (number)
            LEFT JOIN picture_files USING (number)
            WHERE gone IS NULL AND number > ?"""  # noqa: S608 - only constants
OF_COLLECTION = "SELECT number FROM contents WHERE collection = ? AND gone IS NULL LIMIT ?"
ROWS = """SELECT number, id, type, text, collection, metadata FROM contents
           WHERE number IN (SELECT value FROM json_each(?))"""
EQUAL = """SELECT id FROM vectors JOIN contents USING (number) WHERE digest = ? AND vector = ? AND +model = ?
            ORDER BY number"""
VECTOR = "SELECT vector, model FROM vectors JOIN contents USING (number) WHERE id = ? AND gone IS NULL"
OTHERS = """SELECT name, (SELECT count(*) FROM vectors WHERE model = models.model) FROM models WHERE model <> ?"""
FROM_OUTDATED = """FROM vectors JOIN contents USING (number) LEFT JOIN pictures USING (number)
                    WHERE model <> ? AND gone IS NULL"""
LOST = f"SELECT number, id {FROM_OUTDATED} AND text IS NULL AND picture IS NULL"
OUTDATED = f"""SELECT number, picture, id, type, text, collection, metadata {FROM_OUTDATED} AND number > ?
                ORDER BY number LIMIT ?"""
REMOVED = """SELECT number, gone, metadata FROM removals JOIN contents USING (number) ORDER BY turn LIMIT ?"""

# SQLite orders numbers before texts before blobs, so a range must also name the type of its values
_KINDS = {"number": "IN ('integer', 'real')", "text": "= 'text'", "boolean": "= 'blob'"}
_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def facts(metadata: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Return the facts of the metadata that can be filtered by."""
    for key, value in metadata.items():
        if kind(value) != "other":
            yield key, _value(value)


def _value(value: Scalar) -> object:
    return bytes([value]) if isinstance(value, bool) else value


def conditions(where: Where) -> tuple[list[str], list[object]]:
    """Return the WHERE clause of a filter, and its values."""
    parts, values = ["TRUE"], list[object]()
    for column, wanted in (("type", where.type), ("collection", where.collection)):
        if wanted is not None:
            # unary plus disables the collection index, so that the more selective facts are used
            parts.append(f"{'+' if where.conditions else ''}{column} = ?")
            values.append(wanted)
    if where.without:
        parts.append("id NOT IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(where.without))
    for condition in where.conditions:
        test, compared = _test(condition)
        parts.append(f"number IN (SELECT number FROM facts WHERE key = ? AND {test})")  # noqa: S608 - the same
        values += [condition.key, *compared]
    return parts, values


def _test(condition: Condition) -> tuple[str, list[object]]:
    if isinstance(condition.value, tuple):
        return f"value IN ({', '.join('?' * len(condition.value))})", [_value(value) for value in condition.value]
    value = condition.value
    return f"value {_SIGNS[condition.operator]} ? AND typeof(value) {_KINDS[kind(value)]}", [_value(value)]
