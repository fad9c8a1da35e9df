"""Files by name, in a folder or below an s3:// prefix."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from app.errors import ImageTooLarge, InvalidRequest
from app.s3 import S3, SCHEME, Place, parse_place


class Files(Protocol):
    """Files in an order that stays the same. `read` and `open` raise OSError."""

    def names(self) -> Iterator[str]:
        """The names of all files, hidden ones left out; raises InvalidRequest when they cannot be listed."""
        ...

    def read(self, name: str, most: int) -> bytes:
        """A file's bytes; raises ImageTooLarge, before reading, for more than `most`."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A file to be read in parts."""
        ...


class LocalFiles:
    """The files of a folder and its folders, or one file. Links to folders are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> Iterator[str]:
        """By folder, each folder's own files first."""
        if self._root.is_file():
            yield self._root.name
            return
        for folder, folders, files in os.walk(self._root, onerror=_refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths = [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
            yield from (path.relative_to(self._root).as_posix() for path in paths if path.is_file())

    def read(self, name: str, most: int) -> bytes:
        path = self._path(name)
        check_size(path.stat().st_size, most)
        return path.read_bytes()

    def open(self, name: str) -> BinaryIO:
        return self._path(name).open("rb")

    def _path(self, name: str) -> Path:
        return self._root if self._root.is_file() else self._root / name


class S3Files:
    """The objects below a prefix."""

    def __init__(self, s3: S3, place: Place) -> None:
        self._s3 = s3
        self._place = place

    def names(self) -> Iterator[str]:
        """In S3's own order."""
        try:
            for name in self._s3.names(self._place):
                if not any(part.startswith(".") for part in name.split("/")) and not name.endswith("/"):
                    yield name
        except OSError as error:
            _refuse(error)

    def read(self, name: str, most: int) -> bytes:
        place = self._place.under(name)
        check_size(self._s3.size(place), most)
        return self._s3.read(place)

    def open(self, name: str) -> BinaryIO:
        return self._s3.open(self._place.under(name))


def open_files(source: str) -> Files:
    """The files of a folder, a file or an s3:// prefix.

    Raises InvalidRequest when there is no such folder or file, SettingsError for a wrong URL.
    """
    if source.startswith(SCHEME):
        return S3Files(S3(), parse_place(source))
    if not Path(source).exists():
        raise InvalidRequest(f"{source} is not there: give a folder, a parquet file or s3://BUCKET/PREFIX")
    return LocalFiles(Path(source))


def check_size(size: int, most: int) -> None:
    """Raises ImageTooLarge for more than `most` bytes."""
    if size > most:
        raise ImageTooLarge(f"the picture has {size:,} bytes; at most {most:,} are accepted")


def _refuse(error: OSError) -> None:
    raise InvalidRequest(f"{error.filename} cannot be listed: {error.strerror}") from error
