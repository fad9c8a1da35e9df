"""All entries in one SQLite file: the source of truth, from which the vector index is built."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from app.contents import Content, Entry, FileFacts, Numbers, Scanned, VectorModel, Where, not_there, sql
from app.contents.change_feed import ChangeFeed, floats
from app.contents.group_commit import Change, Delete, DeleteCollection, Done, Put
from app.errors import ContentsError, NotFound
from app.model.engines import Floats
from app.sqlite_file import SQLiteFile

SCANNED = 10_000  # entries in memory at once
RETENTION_S = 60.0  # how long removed rows and their tombstones are kept: a search or another process may need them


class Database:
    """One SQLite file. Each entry has a number; numbers only increase, and a replaced entry gets a new one.

    A replaced or deleted entry can be read by its number for another `retention_s`: a search that has found it in the
    index gets all of its results from one snapshot.
    """

    def __init__(
        self, path: Path, model: VectorModel, retention_s: float = RETENTION_S, *, max_bytes: int | None = None
    ) -> None:
        """Open or create the file; raises StoreUnavailable."""
        self._file = SQLiteFile("the contents", path, sql.SCHEMA, max_bytes=max_bytes)
        self._writer = self._file.writer
        self._name = model.name
        self._retention_s = retention_s
        with self._file.transaction():
            self._model = self._number_of(model)
            self._purge(most=-1)
        self.feed = ChangeFeed(self._file, self._model)

    def write(self, changes: Sequence[Change]) -> list[Done | NotFound]:
        """Commit all changes in one transaction, or raise StoreUnavailable; one thread at a time."""
        with self._file.transaction():
            self._purge(most=2 * len(changes))
            return [self._apply(change) for change in changes]

    def get(self, id: str) -> Content:
        """Return one entry, with its thumbnail; raises NotFound."""
        with self._file.reader() as reader:
            row = reader.execute(sql.GET, (id,)).fetchone()
        if row is None:
            raise not_there(id)
        return _with_file(row)

    def page(self, after: int, limit: int, collection: str | None, originals: bool) -> list[tuple[int, Entry]]:
        """Return up to `limit` entries with numbers above `after`, by number; originals only on request.

        The vector is None if it is from another model.
        """
        of_collection = "" if collection is None else " AND collection = ?"
        values = (originals, after, *(() if collection is None else (collection,)), limit)
        with self._file.reader() as reader:
            rows = reader.execute(f"{sql.PAGE}{of_collection} ORDER BY number LIMIT ?", values).fetchall()
        return [
            (number, Entry(_with_file(row), floats(vector) if model == self._model else None))
            for number, model, vector, *row in rows
        ]

    def rows(self, numbers: Numbers) -> dict[int, Content]:
        """Return the entries with these numbers, including recently removed ones."""
        with self._file.reader() as reader:
            rows = reader.execute(sql.ROWS, (json.dumps(numbers.tolist()),))
            return {number: _content(row) for number, *row in rows}

    def matching(self, where: Where) -> Numbers:
        """Return the numbers of all entries that match a filter, ascending, including recently removed ones."""
        parts, values = sql.conditions(where)
        query = f"SELECT number FROM contents WHERE {' AND '.join(parts)}"  # noqa: S608 - only constants
        with self._file.reader() as reader:
            rows = reader.execute(query, values)
            return np.sort(np.fromiter((number for (number,) in rows), np.int64))

    def scan(self, where: Where) -> Iterator[Scanned]:
        """Yield the matching entries that have a vector of this model, from one snapshot."""
        parts, values = sql.conditions(where)
        query = (
            "SELECT id, vector, coalesce(fingerprint, '') FROM contents JOIN vectors USING (number) "  # noqa: S608
            f"LEFT JOIN picture_files USING (number) WHERE model = ? AND gone IS NULL AND {' AND '.join(parts)} "
            "ORDER BY number"
        )
        with self._file.reader() as reader:
            rows = reader.execute(query, (self._model, *values))
            while chunk := rows.fetchmany(SCANNED):
                ids, vectors, fingerprints = zip(*chunk, strict=True)
                yield Scanned(ids, floats(b"".join(vectors)).reshape(len(ids), -1), fingerprints)

    def vector(self, id: str) -> Floats:
        """Return the vector (D,) of one entry; raises NotFound, also if the vector is from another model."""
        with self._file.reader() as reader:
            row = reader.execute(sql.VECTOR, (id,)).fetchone()
        if row is None:
            raise not_there(id)
        if row[1] != self._model:
            raise NotFound(
                f"{id!r} was encoded by another model since this service started with {self._name}: restart it"
            )
        return floats(row[0])

    def count(self, collection: str | None) -> int:
        """Count the entries of a collection, or all; triggers maintain the counts."""
        with self._file.reader() as reader:
            query = "SELECT coalesce(sum(count), 0) FROM counts WHERE ?1 IS NULL OR collection = ?1"
            row = reader.execute(query, (collection,)).fetchone()
        return int(row[0])

    def check_model(self, name: str) -> None:
        """Raise ContentsError if some vectors are from another model."""
        with self._file.reader() as reader:
            others = reader.execute(sql.OTHERS, (self._model,)).fetchall()
        for other, count in others:
            if count:
                raise ContentsError(
                    f"{count} entries in {self._file.path} have vectors of the model {other}, not of {name}: "
                    "re-encode them with `python -m app contents reindex`, or serve that model"
                )

    def outdated_count(self) -> int:
        """Count the entries whose vector is from another model."""
        with self._file.reader() as reader:
            row = reader.execute(f"SELECT count(*) {sql.FROM_OUTDATED}", (self._model,)).fetchone()
        return int(row[0])

    def lost(self) -> list[tuple[int, str]]:
        """Return numbers and ids of the pictures whose vector is from another model and whose original was not kept."""
        with self._file.reader() as reader:
            rows: list[tuple[int, str]] = reader.execute(sql.LOST, (self._model,)).fetchall()
        return rows

    def outdated(self, after: int, most: int) -> list[tuple[int, Content]]:
        """Return some entries, with numbers above `after` and originals, whose vector is from another model."""
        with self._file.reader() as reader:
            rows = reader.execute(sql.OUTDATED, (self._model, after, most)).fetchall()
        return [(number, replace(_content(row), picture=picture)) for number, picture, *row in rows]

    def replace_vectors(self, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Store vectors of this model for entries, by number, in one transaction."""
        rows = [(self._model, _digest(vector), vector, number) for number, vector in vectors]
        with self._file.transaction():
            self._writer.executemany("UPDATE vectors SET model = ?, digest = ?, vector = ? WHERE number = ?", rows)

    def drop(self, entries: Sequence[tuple[int, str]]) -> None:
        """Delete entries by number and id, unless they were replaced meanwhile."""
        with self._file.transaction():
            for number, id in entries:
                if self._number(id) == number:
                    self._remove([(number,)])

    def close(self) -> None:
        """Close the file; everything acknowledged is in it."""
        self._file.close()

    def _apply(self, change: Change) -> Done | NotFound:
        if isinstance(change, Put):
            return self._put(change)
        if isinstance(change, Delete):
            removed = self._number(change.id)
            if removed is None:
                return not_there(change.id)
            self._remove([(removed,)])
            return Done(removed=removed)
        name = change.collection if isinstance(change, DeleteCollection) else change.old
        numbers = self._writer.execute(sql.OF_COLLECTION, (name, change.most)).fetchall()
        if isinstance(change, DeleteCollection):
            self._remove(numbers)
        else:
            rows = [(change.new, number) for (number,) in numbers]
            self._writer.executemany("UPDATE contents SET collection = ? WHERE number = ?", rows)
        return Done(count=len(numbers))

    def _put(self, put: Put) -> Done:
        digest = _digest(put.vector)
        equal = sql.EQUAL, (digest, put.vector, self._model)
        if put.unless_equal and (holder := self._writer.execute(*equal).fetchone()):
            return Done(equal=holder[0])
        content, removed = put.content, self._number(put.content.id)
        if removed is not None:
            self._remove([(removed,)])
        metadata = json.dumps(content.metadata, ensure_ascii=False)
        added = self._writer.execute(
            "INSERT INTO contents (id, type, text, collection, metadata) VALUES (?, ?, ?, ?, ?)",
            (content.id, content.type, content.text, content.collection, metadata),
        ).lastrowid
        self._writer.execute("INSERT INTO vectors VALUES (?, ?, ?, ?)", (added, self._model, digest, put.vector))
        if content.thumbnail or content.picture:
            self._writer.execute("INSERT INTO pictures VALUES (?, ?, ?)", (added, content.thumbnail, content.picture))
        if content.file:
            self._writer.execute("INSERT INTO picture_files VALUES (?, ?, ?, ?, ?, ?)", (added, *content.file))
        rows = [(key, value, added) for key, value in sql.facts(content.metadata)]
        self._writer.executemany("INSERT INTO facts VALUES (?, ?, ?)", rows)
        return Done(added, removed)

    def _remove(self, numbers: Sequence[tuple[int]]) -> None:
        now = time.time()
        self._writer.executemany(
            "UPDATE contents SET gone = ? WHERE number = ?", [(now, *number) for number in numbers]
        )
        self._writer.executemany("INSERT INTO removals (number) VALUES (?)", numbers)
        for table in ("vectors", "pictures", "picture_files"):
            self._writer.executemany(f"DELETE FROM {table} WHERE number = ?", numbers)  # noqa: S608 - only constants

    def _number(self, id: str) -> int | None:
        row = self._writer.execute("SELECT number FROM contents WHERE id = ? AND gone IS NULL", (id,)).fetchone()
        return row[0] if row else None

    def _purge(self, most: int) -> None:
        """Delete the oldest removed rows whose retention is over, in the order of their removal.

        The order lets a change feed detect that it has missed some: the remaining turns are consecutive.
        """
        before = time.time() - self._retention_s
        for number, gone, metadata in self._writer.execute(sql.REMOVED, (most,)).fetchall():
            if gone >= before:
                return
            rows = [(key, value, number) for key, value in sql.facts(json.loads(metadata))]
            self._writer.executemany("DELETE FROM facts WHERE key = ? AND value = ? AND number = ?", rows)
            self._writer.execute("DELETE FROM contents WHERE number = ?", (number,))
            self._writer.execute("DELETE FROM removals WHERE number = ?", (number,))

    def _number_of(self, model: VectorModel) -> int:
        self._writer.execute(
            "INSERT OR IGNORE INTO models (checksum, name) VALUES (?, ?)", (model.checksum, model.name)
        )
        row = self._writer.execute("SELECT model FROM models WHERE checksum = ?", (model.checksum,)).fetchone()
        return int(row[0])


def stored(vector: Floats) -> bytes:
    """Encode a vector (D,) as float16, which changes a cosine by some 0.00001."""
    return vector.astype("<f2").tobytes()


def _digest(vector: bytes) -> bytes:
    return hashlib.blake2b(vector, digest_size=8).digest()


def _content(row: Sequence[Any]) -> Content:
    id_, type_, text, collection, metadata, *pictures = row
    return Content(id_, type_, text, collection, json.loads(metadata), *pictures)


def _with_file(row: Sequence[Any]) -> Content:
    return replace(_content(row[5:]), file=None if row[0] is None else FileFacts(*row[:5]))
