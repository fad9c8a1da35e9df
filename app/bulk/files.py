"""List and read files of a folder or an s3:// prefix."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from app.errors import ImageTooLarge, InvalidImage, InvalidRequest
from app.s3 import S3, SCHEME, Place, parse_place


class Files(Protocol):
    """Files in a stable order. `read` and `open` raise OSError.

    ConnectionError means that no file can be read.
    """

    def list(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of all files except hidden ones; raises InvalidRequest if they cannot be listed."""
        ...

    def read(self, name: str, most: int) -> bytes:
        """Return a file's bytes; raises ImageTooLarge, before reading, for more than `most`."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading in chunks."""
        ...


class LocalFiles:
    """The files of a folder and its subfolders, or one file. Links to folders are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self) -> Iterator[tuple[str, int]]:
        """List folder by folder, each folder's own files first."""
        if self._root.is_file():
            yield self._root.name, self._root.stat().st_size
            return
        for folder, folders, files in os.walk(self._root, onerror=_refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths = [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
            for path in paths:
                if path.is_file():
                    yield path.relative_to(self._root).as_posix(), path.stat().st_size

    def read(self, name: str, most: int) -> bytes:
        """Return a file's bytes; missing permission for one file fails that picture alone."""
        path = self._path(name)
        check_size(path.stat().st_size, most)
        try:
            return path.read_bytes()
        except PermissionError as error:
            raise InvalidImage(error.strerror) from error

    def open(self, name: str) -> BinaryIO:
        return self._path(name).open("rb")

    def _path(self, name: str) -> Path:
        return self._root if self._root.is_file() else self._root / name


class S3Files:
    """The objects with a key prefix."""

    def __init__(self, s3: S3, place: Place) -> None:
        self._s3 = s3
        self._place = place

    def list(self) -> Iterator[tuple[str, int]]:
        """List in S3's own order."""
        try:
            for name, size in self._s3.files(self._place):
                if not any(part.startswith(".") for part in name.split("/")) and not name.endswith("/"):
                    yield name, size
        except OSError as error:
            _refuse(error)

    def read(self, name: str, most: int) -> bytes:
        return self._s3.read(self._place.under(name), partial(check_size, most=most))

    def open(self, name: str) -> BinaryIO:
        return self._s3.open(self._place.under(name))


def open_files(source: str) -> Files:
    """Open a folder, a file or an s3:// prefix.

    Raises InvalidRequest if there is no such folder or file, SettingsError for a wrong URL.
    """
    if source.startswith(SCHEME):
        return S3Files(S3(), parse_place(source))
    if not Path(source).exists():
        raise InvalidRequest(f"{source} is not there: give a folder, a parquet file or s3://BUCKET/PREFIX")
    return LocalFiles(Path(source))


def check_size(size: int, most: int) -> None:
    """Raise ImageTooLarge for more than `most` bytes."""
    if size > most:
        raise ImageTooLarge(f"the picture has {size:,} bytes; at most {most:,} are accepted")


def _refuse(error: OSError) -> None:
    raise InvalidRequest(f"{error.filename} cannot be listed: {error.strerror}") from error
