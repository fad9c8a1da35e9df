"""Replace a bundle's folder atomically: the whole bundle or nothing."""

import ctypes
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from app.errors import ExportError

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux's renameat2
T = TypeVar("T")


def write_whole(place: Path, write: Callable[[Path], T]) -> T:
    """Let `write` fill an empty folder of the same name and move it to `place`, replacing an older bundle.

    Raises ExportError if `place` is not a bundle, or cannot be written; it is then unchanged.
    """
    check_place(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # a rename within the parent folder is atomic; one level down nothing is taken for a bundle
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".export-") as staging:
            folder = Path(staging) / place.name
            folder.mkdir()
            answer = write(folder)
            _put(folder, place)
    except OSError as error:
        raise ExportError(f"{place} cannot be written: {error.strerror or error}") from error
    return answer


def check_place(place: Path) -> None:
    """Raise ExportError if something other than a bundle would be overwritten."""
    if place.exists() and not (place / "config.json").is_file():
        raise ExportError(f"{place} exists and is not a bundle: move it away, it will not be overwritten")


def _put(folder: Path, place: Path) -> None:
    """Move a finished bundle to its place; the previous one is in `folder` afterwards."""
    if not place.exists():
        folder.rename(place)
    elif not _exchange(folder, place):
        old = folder.with_name("old")
        place.rename(old)
        try:
            folder.rename(place)
        except OSError:
            old.rename(place)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically, so that readers always find one; False if the system cannot."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "renameat2"):
        return False
    return bool(libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)
