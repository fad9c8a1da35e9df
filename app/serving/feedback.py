"""Corrections of answers by people: the right item for a request, stored with the embedding it had."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import NotFound
from app.images.header import decode_base64
from app.model.engines import Floats
from app.sqlite_file import SQLiteFile

MOST_ANSWERS = 1000
MOST_BYTES = 64 * 1024 * 1024  # of pictures in base64, where pictures are kept at all

_SCHEMA = """CREATE TABLE IF NOT EXISTS feedback
             (request TEXT NOT NULL, place INTEGER NOT NULL, answered TEXT NOT NULL, item TEXT NOT NULL,
              model TEXT NOT NULL, vector BLOB NOT NULL, picture BLOB, at REAL NOT NULL,
              PRIMARY KEY (request, place)) STRICT;"""
_KEEP = "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Answer:
    """An answer that feedback may come to: the item, the vectors (D,) of what was shown, and that in base64 or not."""

    item: str
    vectors: Sequence[Floats]
    pictures: Sequence[str] = ()

    @property
    def bytes(self) -> int:
        """Of its pictures."""
        return sum(map(len, self.pictures))


class Answers:
    """The last answers by request id, in memory; for one event loop."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._bytes = 0

    def remember(self, request: str, answer: Answer) -> None:
        """Keep an answer; the oldest give way."""
        self._forget(request)
        self._answers[request] = answer
        self._bytes += answer.bytes
        while len(self._answers) > MOST_ANSWERS or self._bytes > MOST_BYTES:
            self._forget(next(iter(self._answers)))

    def of(self, request: str) -> Answer:
        """The answer to a request; raises NotFound."""
        if request not in self._answers:
            raise NotFound(
                f"no answer to request {request[:100]!r} is remembered here: the last {MOST_ANSWERS} to one picture, "
                "or to frames of one thing, are, by the service that gave them"
            )
        return self._answers[request]

    def _forget(self, request: str) -> None:
        gone = self._answers.pop(request, None)
        self._bytes -= gone.bytes if gone else 0


@dataclass(frozen=True)
class Correction:
    """The right item for one picture of a request, and that picture where it was kept."""

    request: str
    place: int
    item: str
    picture: bytes | None


class Feedback:
    """Corrections in one SQLite file, which is made with the first of them."""

    def __init__(self, path: Path, *, max_bytes: int | None = None) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._opened: SQLiteFile | None = None

    def keep(self, request: str, answer: Answer, item: str, model: str) -> None:
        """Store the right item for an answer, replacing an earlier correction; raises StoreUnavailable."""
        decoded = [decode_base64(picture) for picture in answer.pictures]
        pictures: Sequence[bytes | None] = decoded or [None] * len(answer.vectors)
        rows = [
            (request, place, answer.item, item, model, vector.astype("<f4").tobytes(), picture, time.time())
            for place, (vector, picture) in enumerate(zip(answer.vectors, pictures, strict=True))
        ]
        with self._file().transaction() as writer:
            writer.executemany(_KEEP, rows)

    def corrections(self) -> Iterator[Correction]:
        """All of them, the oldest first, read one at a time: their pictures need not fit into memory."""
        if self._path.exists():
            with self._file().reader() as reader:
                for row in reader.execute("SELECT request, place, item, picture FROM feedback ORDER BY rowid"):
                    yield Correction(*row)

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        with self._lock:
            if self._opened:
                self._opened.close()

    def _file(self) -> SQLiteFile:
        with self._lock:
            self._opened = self._opened or SQLiteFile("the feedback", self._path, _SCHEMA, max_bytes=self._max_bytes)
            return self._opened
