"""Files to pictures: one of a picture file, one a row of a parquet file as Hugging Face writes them.

Such a file has a column `image`, a struct of `bytes` and `path`. A file that is neither is a bad picture, not an error.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from app.bulk import Picture
from app.bulk.files import Files, check_size
from app.errors import InvalidImage, InvalidRequest

_ROWS = 64  # at a time in memory


@dataclass(frozen=True)
class Unit:
    """What is read by one reader: a picture file, or a row group of a parquet file; or a file that is broken."""

    name: str
    group: int | None = None
    first: int = 0
    """The number of the group's first row in the file."""
    rows: int = 1
    problem: str = ""

    def ids(self) -> list[str]:
        """The ids of its pictures."""
        if self.group is None:
            return [_text(self.name)]
        return [f"{_text(self.name)}:{number}" for number in range(self.first, self.first + self.rows)]


def find_units(files: Files) -> list[Unit]:
    """All units, in an order that stays the same; raises InvalidRequest where there is none or pyarrow is missing."""
    units: list[Unit] = []
    for name in files.names():
        units += _groups(files, name) if name.endswith(".parquet") else [Unit(name)]
    if not units:
        raise InvalidRequest("there is no file in the source")
    return units


def read_pictures(files: Files, unit: Unit, max_bytes: int) -> Iterator[Picture]:
    """The pictures of a unit; what is wrong with one is said when it is read."""
    if unit.problem:
        yield _bad(_text(unit.name), unit.problem)
    elif unit.group is None:
        name = _text(unit.name)
        yield Picture(name, name, partial(files.read, unit.name, max_bytes))
    else:
        yield from _rows(files, unit, max_bytes)


def _groups(files: Files, name: str) -> list[Unit]:
    """The row groups of a parquet file."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InvalidRequest(f"{name} needs pyarrow: pip install -r requirements-bulk.txt")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with files.open(name) as opened:
            file = pq.ParquetFile(opened)
            names = [column.path for column in file.schema]
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        return [Unit(name, problem=f"not a parquet file, or a damaged one: {error}")]
    if "image.bytes" not in names:
        return [Unit(name, problem=f"the column image with bytes and path is missing; there are: {', '.join(names)}")]
    firsts = accumulate(sizes, initial=0)
    return [Unit(name, group, first, rows) for group, (rows, first) in enumerate(zip(sizes, firsts, strict=False))]


def _rows(files: Files, unit: Unit, max_bytes: int) -> Iterator[Picture]:
    """The rows of one row group; when it breaks off, the rest of them are bad pictures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    left = iter(unit.ids())
    try:
        with files.open(unit.name) as opened:
            batches = pq.ParquetFile(opened).iter_batches(_ROWS, row_groups=[unit.group], columns=["image"])
            for batch in batches:
                for image in batch.column("image").to_pylist():
                    id_ = next(left)
                    data, path = (image or {}).get("bytes"), (image or {}).get("path")
                    yield Picture(id_, path or id_, partial(_checked, data, max_bytes))
    except (pa.ArrowException, OSError) as error:
        yield from (_bad(id_, f"the parquet file is damaged: {error}") for id_ in left)


def _text(name: str) -> str:
    r"""A name as text; bytes in it that are none, which old file systems have, are written out.

    >>> _text("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _checked(data: bytes | None, most: int) -> bytes:
    if data is None:
        raise InvalidImage("the row has no bytes")
    check_size(len(data), most)
    return data


def _bad(id_: str, problem: str) -> Picture:
    def read() -> bytes:
        raise InvalidImage(problem)

    return Picture(id_, id_, read)
