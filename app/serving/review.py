"""The review queue: pictures without a confident answer, in a SQLite file, until a person labels them."""

import hashlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.errors import NotFound, StoreUnavailable
from app.images.header import as_bytes
from app.log import get_logger
from app.model.encoder import unit
from app.model.engines import Floats
from app.serving.feedback import MOST_BYTES, Answer
from app.sqlite_file import SQLiteFile

MOST_KEPT_BYTES = 256 * 1024 * 1024  # of pictures in the file

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS review (id TEXT PRIMARY KEY, request TEXT NOT NULL, answered TEXT NOT NULL,
        model TEXT NOT NULL, count INTEGER NOT NULL, vectors BLOB NOT NULL, seen INTEGER NOT NULL, at REAL NOT NULL,
        item TEXT) STRICT;
    CREATE TABLE IF NOT EXISTS pictures (review TEXT NOT NULL REFERENCES review ON DELETE CASCADE,
        place INTEGER NOT NULL, picture BLOB NOT NULL, PRIMARY KEY (review, place)) STRICT;
    CREATE VIEW IF NOT EXISTS entries AS SELECT id, request, answered, count, vectors, seen, at, item,
        (SELECT count(*) FROM pictures WHERE review = id) AS pictures, model, review.rowid AS number FROM review;
"""  # item: NULL until a person has labelled it, empty if it was dismissed
_PENDING = "SELECT * FROM entries WHERE model = ? AND item IS NULL ORDER BY at DESC, number DESC"
_FIND = "SELECT * FROM entries WHERE id = ? AND model = ? AND item IS NOT ''"
_PICTURES = "SELECT picture FROM pictures WHERE review = ? ORDER BY place"
_COMPARED = "SELECT id, count, vectors FROM review WHERE model = ? AND coalesce(item, '') = ''"
_AGAIN = "UPDATE review SET seen = seen + 1, at = ? WHERE id = ?"
_KEEP = "INSERT OR IGNORE INTO review VALUES (?, ?, ?, ?, ?, ?, 1, ?, NULL)"
_KEEP_PICTURE = "INSERT OR IGNORE INTO pictures VALUES (?, ?, ?)"
_TRIM = """WITH sizes AS (SELECT review.rowid AS number, at, coalesce(sum(length(picture)), 0) AS bytes
                          FROM review LEFT JOIN pictures ON review = id GROUP BY id),
                totals AS (SELECT number, sum(bytes) OVER newest AS bytes, row_number() OVER newest AS place
                           FROM sizes WINDOW newest AS (ORDER BY at DESC, number DESC))
           DELETE FROM review WHERE rowid IN (SELECT number FROM totals WHERE bytes > ? OR place > ?)"""


@dataclass(frozen=True)
class Unsure:
    """An uncertain answer; its near-duplicates are counted with it."""

    id: str
    answer: Answer
    """The answer without its pictures."""
    seen: int
    """Number of near-duplicates, including the first."""
    at: float
    """Time of the last of them, seconds since 1970."""
    pictures: int
    """Number of its stored pictures."""
    item: str | None = None
    """The label it was given."""

    @property
    def vector(self) -> Floats:
        """Return the embedding (D,); of frames, the mean of theirs."""
        return _mean(self.answer.vectors)


class ReviewQueue:
    """The newest `most` uncertain answers; those of one scene, by cosine similarity, are one entry.

    `add` does not block: `flush`, called in a thread, writes what was added. Labelled and dismissed entries stay until
    newer ones replace them, so that they can be relabelled, and a dismissed scene does not return.
    """

    def __init__(self, path: Path, model: str, *, most: int, same_scene: float, max_bytes: int | None = None) -> None:
        """Take the checksum of the model that the embeddings are from, and the least cosine similarity of one scene."""
        self._path = path
        self._model = model
        self._most = most
        self._same_scene = same_scene
        self._max_bytes = max_bytes
        self._new: deque[tuple[float, Answer]] = deque(maxlen=most)
        self._adding = threading.Lock()
        self._flushing = threading.Lock()
        self._opened: SQLiteFile | None = None

    def add(self, request: str, answer: Answer) -> None:
        """Add an uncertain answer; `request` identifies it if the answer has no id."""
        named = answer if answer.id else replace(answer, id=_new_id(request))
        with self._adding:
            self._new.append((time.time(), named))
            while named.pictures and sum(each.bytes for _, each in self._new) > MOST_BYTES:
                self._new.popleft()

    def flush(self) -> None:
        """Write what was added since the last call; raises StoreUnavailable and keeps it for the next call."""
        with self._flushing:
            with self._adding:
                new, self._new = self._new, deque(maxlen=self._most)
            if not new:
                return
            try:
                self._write(new)
            except BaseException:
                with self._adding:
                    self._new = deque([*new, *self._new], maxlen=self._most)
                raise

    def pending(self) -> list[Unsure]:
        """Return the entries without a label, newest first."""
        self.flush()
        if not self._path.exists():
            return []
        with self._file().reader() as reader:
            return [_read(row) for row in reader.execute(_PENDING, (self._model,))]

    def get(self, id: str) -> Unsure:
        """Return an entry, labelled or not; raises NotFound if it was dismissed or replaced by newer ones."""
        self.flush()
        row = None
        if self._path.exists():
            with self._file().reader() as reader:
                row = reader.execute(_FIND, (id, self._model)).fetchone()
        if row is None:
            raise _gone(id)
        return _read(row)

    def pictures(self, id: str) -> list[bytes]:
        """Return the stored pictures of an entry in order; raises NotFound."""
        if not self.get(id).pictures:
            return []
        with self._file().reader() as reader:
            return [picture for (picture,) in reader.execute(_PICTURES, (id,))]

    def settle(self, id: str, item: str) -> None:
        """Store the label of an entry; no effect if the entry is gone."""
        self.flush()
        if self._path.exists():
            with self._file().transaction() as writer:
                writer.execute("UPDATE review SET item = ? WHERE id = ?", (item, id))

    def dismiss(self, id: str) -> None:
        """Dismiss an entry and its scene, and delete its pictures; raises NotFound if it is already settled."""
        if self.get(id).item is not None:
            raise _gone(id)
        with self._file().transaction() as writer:
            writer.execute("UPDATE review SET item = '' WHERE id = ?", (id,))
            writer.execute("DELETE FROM pictures WHERE review = ?", (id,))

    def close(self) -> None:
        """Write what is left, and close the file; failures are logged."""
        try:
            self.flush()
        except StoreUnavailable as error:
            get_logger().error("cannot write the review queue", reason=str(error))
        if self._opened:
            self._opened.close()

    def _write(self, new: Sequence[tuple[float, Answer]]) -> None:
        with self._file().transaction() as writer:
            compared = [
                (id, _mean(_vectors(data, count))) for id, count, data in writer.execute(_COMPARED, (self._model,))
            ]
            ids, vectors = [id for id, _ in compared], [vector for _, vector in compared]
            for at, answer in new:
                vector = _mean(answer.vectors)
                cosines = np.stack(vectors) @ vector if vectors else np.empty(0)
                if cosines.max(initial=-1) > self._same_scene:
                    writer.execute(_AGAIN, (at, ids[cosines.argmax()]))
                    continue
                id, data = review_id(answer.id), np.stack(answer.vectors).astype("<f4").tobytes()
                writer.execute(_KEEP, (id, answer.id, answer.item, self._model, len(answer.vectors), data, at))
                writer.executemany(
                    _KEEP_PICTURE, [(id, place, as_bytes(each)) for place, each in enumerate(answer.pictures)]
                )
                ids.append(id)
                vectors.append(vector)
            writer.execute(_TRIM, (MOST_KEPT_BYTES, self._most))

    def _file(self) -> SQLiteFile:
        with self._adding:
            self._opened = self._opened or SQLiteFile(
                "the review queue", self._path, _SCHEMA, max_bytes=self._max_bytes
            )
            return self._opened


def review_id(answer: str) -> str:
    """Return the queue's id for the answer with this id."""
    return hashlib.sha256(answer.encode()).hexdigest()[:16]


def _new_id(request: str) -> str:
    return f"{request}-{secrets.token_hex(4)}"


def _gone(id: str) -> NotFound:
    return NotFound(f"{id[:100]!r} is not in the review queue: it was dismissed or labelled, or newer ones replaced it")


def _read(row: tuple) -> Unsure:  # type: ignore[type-arg]
    id, request, answered, count, data, seen, at, item, pictures, *_ = row
    return Unsure(id, Answer(answered, list(_vectors(data, count)), (), request), seen, at, pictures, item)


def _vectors(data: bytes, count: int) -> Floats:
    return np.frombuffer(data, "<f4").astype(np.float32).reshape(count, -1)


def _mean(vectors: Sequence[Floats] | Floats) -> Floats:
    return vectors[0] if len(vectors) == 1 else unit(np.asarray(vectors).mean(axis=0))
