"""Where the label file is: in the file system, or an object in S3."""

import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Protocol

from app.errors import InvalidLabels
from app.log import get_logger
from app.s3 import S3, SCHEME, Place, parse_place

_EVERY = 0.5  # seconds between looks at S3: served within a second, for about two dollars a month


class LabelFile(Protocol):
    """A text that may change at any time."""

    def stamp(self) -> Hashable:
        """What is different once the text is; raises InvalidLabels when the text cannot be had."""
        ...

    def read(self) -> str:
        """The text; raises InvalidLabels."""
        ...


class LocalLabels:
    """A file, which may also be replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stamp(self) -> Hashable:
        """Time, size and inode."""
        try:
            stat = self._path.stat()
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def read(self) -> str:
        """The text of this moment."""
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise _unreadable(self._path, error) from error


class S3Labels:
    """An object, asked for every half second at most; when S3 is away, its text stays as it was."""

    def __init__(self, s3: S3, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self._s3 = s3
        self._place = place
        self._clock = clock
        self._look_at = clock()
        self._tag: str | None = None
        self._data = b""
        self._reason: str | None = None

    def stamp(self) -> Hashable:
        """The ETag."""
        if self._clock() >= self._look_at:
            self._look()
            self._look_at = self._clock() + _EVERY
        return self._tag

    def read(self) -> str:
        """The text that belongs to the last stamp."""
        try:
            return self._data.decode("utf-8")
        except UnicodeError as error:
            raise _unreadable(self._place, error) from error

    def _look(self) -> None:
        try:
            if new := self._s3.newer(self._place, self._tag):
                self._tag, self._data = new
            self._reason = None
        except OSError as error:
            if self._tag is None:
                raise _unreadable(self._place, error) from error
            if error.strerror != self._reason:
                get_logger().warning("the labels in S3 stay as they were", reason=error.strerror)
            self._reason = error.strerror


def open_labels(labels: str | Path) -> LabelFile:
    """The label file that the settings name; raises StartError for an s3:// one without boto3."""
    if isinstance(labels, str) and labels.startswith(SCHEME):
        return S3Labels(S3(attempts=1, timeout=2), parse_place(labels))
    return LocalLabels(Path(labels))


def _unreadable(where: Path | Place, error: Exception) -> InvalidLabels:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InvalidLabels(f"the label file {where} cannot be read: {reason}")
