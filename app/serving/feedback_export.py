"""Export corrections as training data: each picture in a folder for its item, as `app.training` reads them."""

import errno
import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import InvalidRequest, LarderError
from app.images.header import ImageLimits, format_of
from app.serving.feedback import Correction, Feedback

LABEL_FILE = ".label"  # contains the item if it is not a valid folder name
MAX_NAME_BYTES = 200  # of a file name; most file systems allow 255
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.DOTALL)  # device names on Windows
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')  # on Windows; a slash anywhere
_WHOLE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


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
