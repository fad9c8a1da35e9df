"""Corrections of answers by people: the right item for a request, with the embedding it had; and their export."""

import errno
import hashlib
import re
import secrets
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.errors import InvalidRequest, LarderError, NotFound
from app.images.header import ImageLimits, as_bytes, format_of
from app.model.engines import Floats
from app.sqlite_file import SQLiteFile

MOST_ANSWERS = 1000
MOST_BYTES = 64 * 1024 * 1024  # of pictures in base64, if pictures are kept

LABEL_FILE = ".label"  # contains the item if it is not a valid folder name
MAX_NAME_BYTES = 200  # of a file name; most file systems allow 255
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.DOTALL)  # device names on Windows
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')  # on Windows; a slash anywhere
_WHOLE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
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


@dataclass
class Exported:
    """The number of pictures written, the number of corrections without one, and a line for each failure."""

    pictures: int = 0
    without_picture: int = 0
    failures: list[str] = field(default_factory=list)


def export(feedback: Feedback, folder: Path, limits: ImageLimits) -> Exported:
    """Write every picture; one that cannot be written does not stop the others.

    Raises InvalidRequest if the folder cannot be written, StoreUnavailable if the feedback cannot be read.
    """
    done = Exported()
    for entry in feedback.corrections():
        if entry.picture is None:
            done.without_picture += 1
            continue
        try:
            _write(entry, entry.picture, folder, limits)
            done.pictures += 1
        except OSError as error:
            if error.errno in _WHOLE_DISK or not folder.is_dir():
                raise InvalidRequest(f"{folder} cannot be written: {error.strerror}") from error
            done.failures.append(f"{_name(entry)}: {error.strerror}")
        except LarderError as error:
            done.failures.append(f"{_name(entry)}: {error}")
    return done


def safe_name(text: str) -> str:
    """Return a file or folder name that is valid on every file system and unique for the text.

    Most texts are their own names. One that is too long, invalid on Windows, or ambiguous on a case-insensitive file
    system, gets a name that ends in its checksum.

    >>> safe_name("red apple"), safe_name("con")
    ('red apple', '_con-1143da2bc54c495c')
    """
    odd = text.startswith((".", "_")) or text.endswith((".", " ")) or _RESERVED.fullmatch(text)
    plain = text == unicodedata.normalize("NFC", text.lower()) and not _FORBIDDEN.search(text)
    if plain and not odd and 0 < len(text.encode()) <= MAX_NAME_BYTES:
        return text
    start = _FORBIDDEN.sub("_", text.lower()).encode()[: MAX_NAME_BYTES // 2].decode(errors="ignore").strip(" .")
    return f"_{start}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _write(entry: Correction, picture: bytes, folder: Path, limits: ImageLimits) -> None:
    ending = format_of(picture, limits).lower()
    inner = folder / safe_name(entry.item)
    inner.mkdir(parents=True, exist_ok=True)
    if inner.name != entry.item:
        (inner / LABEL_FILE).write_text(entry.item, encoding="utf-8")
    (inner / f"{safe_name(entry.request)}-{entry.place}.{ending}").write_bytes(picture)


def _name(entry: Correction) -> str:
    return f"the picture {entry.place} of request {entry.request[:100]} ({entry.item[:50]!r})"
