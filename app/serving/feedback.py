"""Corrections of answers by people: the right item for a request, stored with its embedding."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import InvalidRequest, NotFound
from app.images.header import as_bytes
from app.model.engines import Floats
from app.sqlite_file import SQLiteFile

MOST_ANSWERS = 1000
MOST_BYTES = 64 * 1024 * 1024  # of pictures in base64, if pictures are kept

SAME_PICTURE = 0.999  # cosine similarity; the same picture in another batch is above it

_SCHEMA = """CREATE TABLE IF NOT EXISTS feedback
             (request TEXT NOT NULL, place INTEGER NOT NULL, answered TEXT NOT NULL, item TEXT NOT NULL,
              model TEXT NOT NULL, vector BLOB NOT NULL, picture BLOB, at REAL NOT NULL,
              PRIMARY KEY (request, place)) STRICT;"""
_KEEP = "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Answer:
    """An answer that can be corrected: the item, the embeddings (D,) and, if kept, the pictures in base64."""

    item: str
    vectors: Sequence[Floats]
    pictures: Sequence[str | bytes] = ()
    id: str = ""
    """Assigned by `Answers.remember`; unique even if callers choose their request ids."""
    code: str | None = None
    """The barcode to tie to the right item."""

    def shows_the_same_as(self, other: "Answer") -> bool:
        """Return whether both answer the same pictures, as when a request was sent again."""
        pairs = zip(self.vectors, other.vectors, strict=False)
        return len(self.vectors) == len(other.vectors) and all(float(a @ b) > SAME_PICTURE for a, b in pairs)

    @property
    def bytes(self) -> int:
        """Return the size of its pictures."""
        return sum(map(len, self.pictures))


class Answers:
    """An LRU cache of the last answers by request id, in memory; for one event loop.

    A caller may choose the request id. If two callers choose the same one for different pictures, neither answer can be
    looked up: feedback must not reach somebody else's picture.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Answer | None] = OrderedDict()
        self._bytes = 0

    def remember(self, request: str, answer: Answer) -> Answer:
        """Store an answer, evicting the oldest. Return it with its id, which is empty if it is not stored."""
        taken, before = request in self._answers, self._answers.get(request)
        self._forget(request)
        if not taken:
            kept: Answer | None = replace(answer, id=f"{request}-{secrets.token_hex(4)}")
        elif before and before.shows_the_same_as(answer):
            kept = replace(answer, id=before.id)
        else:
            kept = None
        self._answers[request] = kept
        self._bytes += kept.bytes if kept else 0
        while len(self._answers) > MOST_ANSWERS or self._bytes > MOST_BYTES:
            self._forget(next(iter(self._answers)))
        return kept or answer

    def of(self, request: str) -> Answer:
        """Return the answer to a request. Raise NotFound, or InvalidRequest if the id is ambiguous."""
        if request not in self._answers:
            raise NotFound(
                f"no answer to request {request[:100]!r} is remembered here: the last {MOST_ANSWERS} to one picture, "
                "or to frames of one thing, are, by the service that gave them"
            )
        answer = self._answers[request]
        if answer is None:
            raise InvalidRequest(
                f"different pictures were sent under the request id {request[:100]!r}: "
                "send each with an X-Request-ID of its own, or with none"
            )
        return answer

    def _forget(self, request: str) -> None:
        gone = self._answers.pop(request, None)
        self._bytes -= gone.bytes if gone else 0


@dataclass(frozen=True)
class Correction:
    """The right item for one picture of a request, with the picture if it was kept."""

    request: str
    place: int
    item: str
    picture: bytes | None


class Feedback:
    """Corrections in one SQLite file, created with the first of them."""

    def __init__(self, path: Path, *, max_bytes: int | None = None) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._opened: SQLiteFile | None = None

    def keep(self, request: str, answer: Answer, item: str, model: str) -> None:
        """Store the right item for an answer, replacing an earlier correction; raises StoreUnavailable."""
        decoded = [as_bytes(picture) for picture in answer.pictures]
        pictures: Sequence[bytes | None] = decoded or [None] * len(answer.vectors)
        rows = [
            (request, place, answer.item, item, model, vector.astype("<f4").tobytes(), picture, time.time())
            for place, (vector, picture) in enumerate(zip(answer.vectors, pictures, strict=True))
        ]
        with self._file().transaction() as writer:
            writer.executemany(_KEEP, rows)

    def corrections(self) -> Iterator[Correction]:
        """Yield all corrections, oldest first; reads one at a time, so that their pictures need not fit into memory."""
        if self._path.exists():
            with self._file().reader() as reader:
                for row in reader.execute("SELECT request, place, item, picture FROM feedback ORDER BY rowid"):
                    yield Correction(*row)

    def close(self) -> None:
        """Close the file; acknowledged corrections are in it."""
        with self._lock:
            if self._opened:
                self._opened.close()

    def _file(self) -> SQLiteFile:
        with self._lock:
            self._opened = self._opened or SQLiteFile("the feedback", self._path, _SCHEMA, max_bytes=self._max_bytes)
            return self._opened
