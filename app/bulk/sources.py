"""Find the pictures in files: picture files, and the rows of parquet files in Hugging Face's layout.

Such a parquet file has a column `image`, a struct of `bytes` and `path`. A file with the name of another type, such as
a text or a video, is skipped; any other file that is neither is a failed picture, not an error.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from mimetypes import MimeTypes
from pathlib import PurePosixPath
from typing import Any

from app.bulk import Picture
from app.bulk.files import Files, check_size
from app.errors import InvalidImage, InvalidRequest, SourceError

_ROWS = 64  # of a parquet file in memory at once, fewer if they are large
_ROWS_BYTES = 16 * 1024 * 1024
_BESIDE = {".xmp", ".aae", ".db", ".ini"}  # what photo programs, phones and Windows store beside pictures
_KINDS = MimeTypes().types_map[True]  # Python's own list, independent of the machine's /etc
_BUFFER = 4 * 1024 * 1024  # bytes; without it a row group's whole column is read at once


@dataclass(frozen=True)
class Unit:
    """A picture file, a row group of a parquet file, or a broken file."""

    name: str
    group: int | None = None
    first: int = 0
    """Index of the group's first row in the file."""
    rows: int = 1
    size: int = 0
    """Size of the picture file, or of the row group's pictures, in bytes."""
    problem: str = ""

    def ids(self) -> list[str]:
        """Return the ids of its pictures."""
        if self.group is None:
            return [_text(self.name)]
        return [f"{_text(self.name)}:{number}" for number in range(self.first, self.first + self.rows)]


def find_units(files: Files) -> tuple[list[Unit], int]:
    """Find all units in a stable order, and count the files whose names are not those of pictures.

    Raises InvalidRequest if there is no unit, or if pyarrow is missing.
    """
    units: list[Unit] = []
    others = 0
    for name, size in files.list():
        if name.endswith(".parquet"):
            units += _groups(files, name)
        elif may_be_picture(name):
            units.append(Unit(name, size=size))
        else:
            others += 1
    if not units:
        raise InvalidRequest(
            f"there is no picture in the source, and {others} other files"
            if others
            else "there is no file in the source"
        )
    return units, others


def may_be_picture(name: str) -> bool:
    """Return whether a file may be a picture by its name; its bytes decide then.

    >>> [may_be_picture(name) for name in ("a.jpg", "scan", "a.tif", "Thumbs.db", "notes.txt", "a.jpg.xmp", "a.mov")]
    [True, True, True, False, False, False, False]
    """
    ending = PurePosixPath(name).suffix.lower()
    kind = _KINDS.get(ending, "image/unknown")
    return kind.startswith("image/") and ending not in _BESIDE


def read_pictures(files: Files, unit: Unit, max_bytes: int) -> Iterator[Picture]:
    """Yield the pictures of a unit; errors of one are raised when it is read."""
    if unit.problem:
        yield _bad(_text(unit.name), unit.problem)
    elif unit.group is None:
        name = _text(unit.name)
        yield Picture(name, name, partial(_read_file, files, unit.name, max_bytes), unit.size)
    else:
        yield from _rows(files, unit, max_bytes)


def _groups(files: Files, name: str) -> list[Unit]:
    """Yield the row groups of a parquet file."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InvalidRequest(f"{name} needs pyarrow: pip install -r requirements-bulk.txt")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with files.open(name) as opened:
            metadata = pq.ParquetFile(opened).metadata
            groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
            columns = [column.path for column in metadata.schema]
    except ConnectionError as error:
        raise _lost(error) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        return [Unit(name, problem=f"not a parquet file, or a damaged one: {error}")]
    if "image.bytes" not in columns:
        problem = f"the column image with bytes and path is missing; there are: {', '.join(columns)}"
        return [Unit(name, problem=problem)]
    column, rows = columns.index("image.bytes"), [group.num_rows for group in groups]
    sizes = [group.column(column).total_uncompressed_size for group in groups]
    firsts = accumulate(rows, initial=0)
    return [Unit(name, number, *facts) for number, facts in enumerate(zip(firsts, rows, sizes, strict=False))]


def _rows(files: Files, unit: Unit, max_bytes: int) -> Iterator[Picture]:
    """Yield the rows of one row group; if reading breaks off, the remaining rows are failed pictures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    left, rows = iter(unit.ids()), max(1, min(_ROWS, _ROWS_BYTES * unit.rows // max(unit.size, 1)))
    try:
        with files.open(unit.name) as opened:
            file = pq.ParquetFile(opened, buffer_size=_BUFFER)
            for batch in file.iter_batches(rows, row_groups=[unit.group], columns=["image"]):
                for row in batch.column("image"):
                    yield _row(next(left), row, max_bytes)
    except ConnectionError as error:
        raise _lost(error) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        yield from (_bad(id_, f"the parquet file is damaged: {error}") for id_ in left)


def _row(id_: str, row: Any, max_bytes: int) -> Picture:
    """Return one row's picture; a row with anything but bytes and a path is a failed picture."""
    try:
        image = row.as_py() or {}
    except ValueError as error:  # the path is not UTF-8
        return _bad(id_, f"the row cannot be read: {error}")
    data, path = image.get("bytes"), image.get("path")
    if data is None:
        return _bad(id_, "the row has no bytes")
    if not isinstance(data, bytes):
        return _bad(id_, f"the row's bytes are of the type {row.type.field('bytes').type}; binary is needed")
    return Picture(id_, path if path and isinstance(path, str) else id_, partial(_checked, data, max_bytes), len(data))


def _text(name: str) -> str:
    r"""Return a name as text; escape bytes that are not UTF-8, as on old file systems.

    >>> _text("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _read_file(files: Files, name: str, max_bytes: int) -> bytes:
    try:
        return files.read(name, max_bytes)
    except ConnectionError as error:
        raise _lost(error) from error


def _checked(data: bytes, most: int) -> bytes:
    check_size(len(data), most)
    return data


def _lost(error: OSError) -> SourceError:
    return SourceError(f"{error.filename} cannot be read, and neither can the rest: {error.strerror or error}")


def _bad(id_: str, problem: str) -> Picture:
    def read() -> bytes:
        raise InvalidImage(problem)

    return Picture(id_, id_, read)
