"""Pictures supplied by users: a folder of classes, a parquet file with a class list, a CSV file of captions."""

import csv
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from app.errors import LarderError, TrainingError
from app.images.decode import open_picture
from app.images.header import ImageLimits
from app.text import clean
from app.training.data import Pictures, plain, square

LIMITS = ImageLimits(max_bytes=100 * 1024 * 1024)  # local files are trusted more than a request's
FORMS = "a folder of one folder a class, a .parquet file or a .csv file"


@dataclass(frozen=True)
class Row:
    """A picture that is not decoded yet."""

    name: str
    read: Callable[[], bytes]
    text: str


@dataclass(frozen=True)
class Examples:
    """Pictures, each with the index of its text."""

    pictures: Pictures
    texts: list[str]


def read_examples(source: Path, size: int, class_list: Path | None = None) -> Examples:
    """Read every decodable picture of a source at `size` pixels; skips the others and prints their names.

    Raises TrainingError if the source has the wrong format or too few pictures or classes.
    """
    if source.is_dir():
        texts, rows = open_folder(source)
    elif source.suffix == ".parquet" and source.is_file():
        texts, rows = open_parquet(source, class_list)
    elif source.suffix == ".csv" and source.is_file():
        texts, rows = open_csv(source)
    else:
        raise TrainingError(f"{source} was found to be none of these: {FORMS}")
    if len(texts) < 2:
        raise TrainingError(f"{source} has {len(texts)} classes or captions; at least 2 are needed")
    places = {text: place for place, text in enumerate(texts)}
    pixels, labels = [], []
    for row in tqdm(rows, desc=f"reading {source.name}", unit="picture", mininterval=2, disable=None):
        try:
            pixels.append(square(open_picture(row.read(), LIMITS), size))
        except (LarderError, OSError) as error:
            tqdm.write(f"left out: {row.name}: {error}", file=sys.stderr)
        else:
            labels.append(places[row.text])
    if not pixels:
        raise TrainingError(f"{source} has no picture that can be read")
    return Examples(Pictures(np.stack(pixels), np.array(labels, np.int64)), texts)


Opened = tuple[list[str], Iterator[Row]]  # the texts, and the pictures labelled with them


def open_folder(folder: Path) -> Opened:
    """Read `folder/red apple/1.jpg`: the class is the name of the folder, or the content of a `.label` file in it."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    classes = {inner: _class_of(inner) for inner in folders}
    rows = (
        Row(str(path), path.read_bytes, classes[inner])
        for inner in folders
        for path in sorted(inner.iterdir())
        if path.is_file() and not path.name.startswith(".")
    )
    return list(dict.fromkeys(classes.values())), rows


def _class_of(folder: Path) -> str:
    label = folder / ".label"  # written by `feedback export` if the item's name is not a valid folder name
    return label.read_text(encoding="utf-8") if label.is_file() else plain(folder.name)


def open_parquet(path: Path, class_list: Path | None) -> Opened:
    """Read `image` (struct of `bytes`, `path`) and `label` (a number): the layout of Hugging Face's image data sets."""
    try:
        names = pq.read_schema(path).names
    except pa.ArrowException as error:
        raise TrainingError(f"{path} cannot be read as parquet: {error}") from error
    if not {"image", "label"} <= set(names):
        raise TrainingError(f"{path} has the columns {', '.join(names)}; needed are image and label")
    table = pq.read_table(path, columns=["image", "label"])
    classes = read_class_list(class_list or beside(path))
    labels = table.column("label").to_pylist()
    for label in {min(labels, default=0), max(labels, default=0)} - set(range(len(classes))):
        raise TrainingError(f"{path} has the label {label}; the class list has names for 0 to {len(classes) - 1}")
    pictures = table.column("image").combine_chunks().field("bytes")
    rows = (
        Row(f"{path}, row {number}", partial(bytes_of, cell), classes[label])
        for number, (cell, label) in enumerate(zip(pictures, labels, strict=True))
    )
    return classes, rows


def bytes_of(cell: pa.BinaryScalar) -> bytes:
    """Return a picture's bytes; empty for an empty cell."""
    return cell.as_py() or b""


def beside(path: Path) -> Path:
    """Find the class list in the folder of a parquet file; raises TrainingError if there is none."""
    for name in ("classes.txt", "classes.csv"):
        if path.with_name(name).is_file():
            return path.with_name(name)
    raise TrainingError(f"{path} needs a class list: classes.txt or classes.csv beside it, or --classes FILE")


def read_class_list(path: Path) -> list[str]:
    """Read one name per line, ordered by number; or a CSV with the columns label (the number) and name."""
    if path.suffix != ".csv":
        return [plain(line) for line in read_text(path).splitlines() if line.strip()]
    return [plain(row["name"]) for row in sorted(read_rows(path, "label", "name"), key=lambda row: int(row["label"]))]


def open_csv(path: Path) -> Opened:
    """Read the columns path (relative to the CSV file's folder) and caption; equal captions are one text."""
    rows = read_rows(path, "path", "caption")
    pictures = (Row(row["path"], (path.parent / row["path"]).read_bytes, clean(row["caption"])) for row in rows)
    return list(dict.fromkeys(clean(row["caption"]) for row in rows)), pictures


def read_rows(path: Path, *needed: str) -> list[dict[str, str]]:
    """Read the rows of a CSV file; raises TrainingError if a needed column is missing or one of its cells is empty."""
    reader = csv.DictReader(io.StringIO(read_text(path)))
    columns = reader.fieldnames or ["none"]
    if not set(needed) <= set(columns):
        raise TrainingError(f"{path} has the columns {', '.join(columns)}; needed are {' and '.join(needed)}")
    rows = []
    for row in reader:
        if not all(row[name] for name in needed):
            raise TrainingError(f"{path}, line {reader.line_num}: {' and '.join(needed)} are needed in every row")
        rows.append(row)
    return rows


def read_text(path: Path) -> str:
    """Read a text file; raises TrainingError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
