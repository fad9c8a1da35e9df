"""The label file, local or an object in S3, with a stamp that tells when its text has changed."""

import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Protocol

from app.errors import InvalidLabels
from app.log import get_logger
from app.s3 import S3, SCHEME, Place, parse_place
from app.text import decode_text

_POLL_INTERVAL_S = 0.5  # between requests to S3: changes are served within a second, for about two dollars a month


class LabelFile(Protocol):
    """A text that may change at any time."""

    def stamp(self) -> Hashable:
        """Return a value that changes with the text; raises InvalidLabels if the text cannot be read."""
        ...

    def read(self) -> str:
        """Return the text; raises InvalidLabels."""
        ...


class LocalLabels:
    """A local file, which may be replaced or written in place.

    A program that writes in place truncates the file first. So a changed text is used once the file has been unchanged
    for `settle_s` seconds; until then the previous text is served.
    """

    def __init__(self, path: Path, settle_s: float = 0.3, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._settle_s = settle_s
        self._clock = clock
        self._seen: Hashable = None
        self._seen_at = 0.0
        self._stamp: Hashable = None
        self._data = b""

    def stamp(self) -> Hashable:
        """Return times, size and inode of the file when its text was read."""
        try:
            seen = _stat(self._path)
            if seen != self._seen:
                self._seen, self._seen_at = seen, self._clock()
            settled = self._stamp is None or self._clock() - self._seen_at >= self._settle_s
            if seen != self._stamp and settled:
                data = self._path.read_bytes()
                if _stat(self._path) == seen:  # not written to meanwhile
                    self._stamp, self._data = seen, data
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return self._stamp

    def read(self) -> str:
        """Return the text of the last stamp."""
        return _decoded(self._path, self._data)


class S3Labels:
    """An object in S3, polled at most every half second; while S3 is unreachable, the last text is kept."""

    def __init__(self, s3: S3, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self._s3 = s3
        self._place = place
        self._clock = clock
        self._look_at = clock()
        self._tag: str | None = None
        self._data = b""
        self._reason: str | None = None

    def stamp(self) -> Hashable:
        """Return the ETag."""
        if self._clock() >= self._look_at:
            self._look()
            self._look_at = self._clock() + _POLL_INTERVAL_S
        return self._tag

    def read(self) -> str:
        """Return the text of the last stamp."""
        return _decoded(self._place, self._data)

    def _look(self) -> None:
        try:
            if new := self._s3.newer(self._place, self._tag):
                self._tag, self._data = new
            self._reason = None
        except OSError as error:
            if self._tag is None:
                raise _unreadable(self._place, error) from error
            if error.strerror != self._reason:
                get_logger().warning("S3 unavailable, keeping the last labels", reason=error.strerror)
            self._reason = error.strerror


def open_labels(labels: str | Path) -> LabelFile:
    """Open the configured label file; raises StartError for an s3:// one without boto3."""
    if isinstance(labels, str) and labels.startswith(SCHEME):
        return S3Labels(S3(attempts=1, timeout=2), parse_place(labels))
    return LocalLabels(Path(labels))


def _stat(path: Path) -> Hashable:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def _decoded(where: Path | Place, data: bytes) -> str:
    try:
        return decode_text(data)
    except UnicodeError as error:
        raise _unreadable(where, error) from error


def _unreadable(where: Path | Place, error: Exception) -> InvalidLabels:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InvalidLabels(f"the label file {where} cannot be read: {reason}")
