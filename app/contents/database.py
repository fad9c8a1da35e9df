"""The contents in one SQLite file: the truth, of which the index holds the vectors alone."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from app.contents import Content, VectorModel, Where, not_there
from app.contents.flags import Numbers
from app.contents.follower import Follower, floats
from app.contents.query import conditions, facts
from app.errors import ContentsError, NotFound
from app.model.engines import Floats
from app.sqlite_file import SQLiteFile

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS models (model INTEGER PRIMARY KEY, checksum TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS contents (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,
        type TEXT NOT NULL, text TEXT, collection TEXT NOT NULL, metadata TEXT NOT NULL, gone REAL) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS contents_ids ON contents (id) WHERE gone IS NULL;
    CREATE INDEX IF NOT EXISTS contents_kinds ON contents (collection, type, gone);
    CREATE INDEX IF NOT EXISTS contents_gone ON contents (gone) WHERE gone IS NOT NULL;
    CREATE TABLE IF NOT EXISTS vectors (number INTEGER PRIMARY KEY, model INTEGER NOT NULL, digest BLOB NOT NULL,
        vector BLOB NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS vectors_models ON vectors (model);
    CREATE INDEX IF NOT EXISTS vectors_digests ON vectors (digest);
    CREATE TABLE IF NOT EXISTS pictures (number INTEGER PRIMARY KEY, thumbnail BLOB, picture BLOB) STRICT;
    CREATE TABLE IF NOT EXISTS facts (key TEXT NOT NULL, value ANY NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (key, value, number)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS removals (turn INTEGER PRIMARY KEY AUTOINCREMENT,
        number INTEGER NOT NULL UNIQUE) STRICT;
"""
_GET = """SELECT id, type, text, collection, metadata, thumbnail FROM contents LEFT JOIN pictures USING (number)
          WHERE id = ? AND gone IS NULL"""
_ROWS = """SELECT number, id, type, text, collection, metadata FROM contents
           WHERE number IN (SELECT value FROM json_each(?))"""
_EQUAL = """SELECT id FROM vectors JOIN contents USING (number) WHERE digest = ? AND vector = ? ORDER BY number"""
_OTHERS = """SELECT name, (SELECT count(*) FROM vectors WHERE model = models.model) FROM models WHERE model <> ?"""
_OUTDATED_COUNT = """SELECT count(*) FROM vectors JOIN contents USING (number) LEFT JOIN pictures USING (number)
                     WHERE model <> ?"""
_LOST = " AND text IS NULL AND picture IS NULL"
_LOST_IDS = _OUTDATED_COUNT.replace("count(*)", "id") + _LOST
_OUTDATED = """SELECT number, picture, id, type, text, collection, metadata FROM vectors JOIN contents USING (number)
               LEFT JOIN pictures USING (number) WHERE model <> ? ORDER BY number LIMIT ?"""
LINGER = 60.0  # seconds for which a search may be at work


@dataclass(frozen=True)
class Put:
    """A content to store; `unless_equal`, only when no content has this very vector."""

    content: Content
    vector: bytes
    unless_equal: bool = False


@dataclass(frozen=True)
class Delete:
    """A content to remove."""

    id: str


@dataclass(frozen=True)
class Done:
    """What a change did: the number that is new, the one that went, or the id that has the vector already."""

    added: int | None = None
    removed: int | None = None
    equal: str | None = None


class Database:
    """One file. Each content has a number; numbers only ever rise, and a content that is replaced gets a new one.

    What is replaced or deleted can be read by its number for a minute more: a search that has found it in the index
    gets all of its results as they were at one moment, however long it takes to read them.
    """

    def __init__(self, path: Path, model: VectorModel) -> None:
        """Opens the file, and makes it where there is none; raises StoreUnavailable."""
        self._file = SQLiteFile("the contents", path, _SCHEMA)
        self._writer = self._file.writer
        with self._file.transaction():
            self._model = self._number_of(model)
            self._purge(time.time() - LINGER, most=-1)
        self.follower = Follower(self._file, self._model)

    def write(self, changes: Sequence[Put | Delete]) -> list[Done | NotFound]:
        """Carry out all changes in one transaction, one thread at a time; raises StoreUnavailable, and then none is."""
        with self._file.transaction():
            self._purge(time.time() - LINGER, most=2 * len(changes))
            return [self._put(change) if isinstance(change, Put) else self._delete(change) for change in changes]

    def get(self, id: str) -> Content:
        """One content, with its thumbnail; raises NotFound."""
        with self._file.reader() as reader:
            row = reader.execute(_GET, (id,)).fetchone()
        if row is None:
            raise not_there(id)
        return _content(row)

    def rows(self, numbers: Numbers) -> dict[int, Content]:
        """The contents with these numbers, also of those that went a short while ago."""
        with self._file.reader() as reader:
            rows = reader.execute(_ROWS, (json.dumps(numbers.tolist()),))
            return {number: _content(row) for number, *row in rows}

    def matching(self, where: Where) -> Numbers:
        """The numbers of all contents that a search is for, ascending, also of those that went a short while ago."""
        parts, values = conditions(where)
        query = f"SELECT number FROM contents WHERE {' AND '.join(parts)}"  # noqa: S608 - of our own parts alone
        with self._file.reader() as reader:
            rows = reader.execute(query, values)
            return np.sort(np.fromiter((number for (number,) in rows), np.int64))

    def vector(self, id: str) -> Floats:
        """One content's vector (D,); raises NotFound."""
        with self._file.reader() as reader:
            row = reader.execute(
                "SELECT vector FROM vectors JOIN contents USING (number) WHERE id = ? AND gone IS NULL", (id,)
            ).fetchone()
        if row is None:
            raise not_there(id)
        return floats(row[0])

    def count(self, collection: str | None) -> int:
        """How many contents there are."""
        with self._file.reader() as reader:
            query = "SELECT count(*) FROM contents WHERE gone IS NULL AND (?1 IS NULL OR collection = ?1)"
            row = reader.execute(query, (collection,)).fetchone()
        return int(row[0])

    def check_model(self, name: str) -> None:
        """Raises ContentsError where some vectors are another model's."""
        with self._file.reader() as reader:
            others = reader.execute(_OTHERS, (self._model,)).fetchall()
        for other, count in others:
            if count:
                raise ContentsError(
                    f"{count} contents in {self._file.path} have vectors of the model {other}, not of {name}: "
                    "encode them anew with `python -m app contents reindex`, or serve that model"
                )

    def outdated_count(self, lost: bool = False) -> int:
        """How many contents have another model's vector; with `lost`, of these, the pictures without an original."""
        with self._file.reader() as reader:
            query = _OUTDATED_COUNT + (_LOST if lost else "")
            return int(reader.execute(query, (self._model,)).fetchone()[0])

    def outdated(self, most: int) -> list[tuple[int, Content]]:
        """Some of the contents that have another model's vector, with their numbers and their originals."""
        with self._file.reader() as reader:
            rows = reader.execute(_OUTDATED, (self._model, most)).fetchall()
        return [(number, replace(_content(row), picture=picture)) for number, picture, *row in rows]

    def replace_vectors(self, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Give contents, by their numbers, vectors of this model, all of them or none."""
        rows = [(self._model, _digest(vector), vector, number) for number, vector in vectors]
        with self._file.transaction():
            self._writer.executemany("UPDATE vectors SET model = ?, digest = ?, vector = ? WHERE number = ?", rows)

    def drop_lost(self) -> None:
        """Remove the pictures that have another model's vector and no original."""
        with self._file.transaction():
            for (id,) in self._writer.execute(_LOST_IDS, (self._model,)).fetchall():
                self._remove(id)

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        self._file.close()

    def _put(self, put: Put) -> Done:
        digest = _digest(put.vector)
        if put.unless_equal and (holder := self._equal(digest, put.vector)):
            return Done(equal=holder)
        content, removed = put.content, self._remove(put.content.id)
        metadata = json.dumps(content.metadata, ensure_ascii=False)
        added = self._writer.execute(
            "INSERT INTO contents (id, type, text, collection, metadata) VALUES (?, ?, ?, ?, ?)",
            (content.id, content.type, content.text, content.collection, metadata),
        ).lastrowid
        self._writer.execute("INSERT INTO vectors VALUES (?, ?, ?, ?)", (added, self._model, digest, put.vector))
        if content.thumbnail or content.picture:
            self._writer.execute("INSERT INTO pictures VALUES (?, ?, ?)", (added, content.thumbnail, content.picture))
        rows = [(key, value, added) for key, value in facts(content.metadata)]
        self._writer.executemany("INSERT INTO facts VALUES (?, ?, ?)", rows)
        return Done(added, removed)

    def _delete(self, delete: Delete) -> Done | NotFound:
        removed = self._remove(delete.id)
        return not_there(delete.id) if removed is None else Done(removed=removed)

    def _remove(self, id: str) -> int | None:
        row = self._writer.execute("SELECT number FROM contents WHERE id = ? AND gone IS NULL", (id,)).fetchone()
        if row is None:
            return None
        self._writer.execute("UPDATE contents SET gone = ? WHERE number = ?", (time.time(), *row))
        self._writer.execute("INSERT INTO removals (number) VALUES (?)", row)
        self._writer.execute("DELETE FROM vectors WHERE number = ?", row)
        self._writer.execute("DELETE FROM pictures WHERE number = ?", row)
        return int(row[0])

    def _purge(self, before: float, most: int) -> None:
        """Forget some contents that have been gone for so long that no search is at work on them."""
        query = "SELECT number, metadata FROM contents WHERE gone < ? ORDER BY gone LIMIT ?"
        for number, metadata in self._writer.execute(query, (before, most)).fetchall():
            rows = [(key, value, number) for key, value in facts(json.loads(metadata))]
            self._writer.executemany("DELETE FROM facts WHERE key = ? AND value = ? AND number = ?", rows)
            self._writer.execute("DELETE FROM contents WHERE number = ?", (number,))
            self._writer.execute("DELETE FROM removals WHERE number = ?", (number,))

    def _equal(self, digest: bytes, vector: bytes) -> str | None:
        """The id of a content that has this very vector."""
        row = self._writer.execute(_EQUAL, (digest, vector)).fetchone()
        return row[0] if row else None

    def _number_of(self, model: VectorModel) -> int:
        self._writer.execute(
            "INSERT OR IGNORE INTO models (checksum, name) VALUES (?, ?)", (model.checksum, model.name)
        )
        row = self._writer.execute("SELECT model FROM models WHERE checksum = ?", (model.checksum,)).fetchone()
        return int(row[0])


def stored(vector: Floats) -> bytes:
    """A vector (D,) as it is kept: 16 bits a number, which moves a cosine by some 0.00001."""
    return vector.astype("<f2").tobytes()


def _digest(vector: bytes) -> bytes:
    return hashlib.blake2b(vector, digest_size=8).digest()


def _content(row: Sequence[Any]) -> Content:
    id_, type_, text, collection, metadata, *thumbnail = row
    return Content(id_, type_, text, collection, json.loads(metadata), *thumbnail)
