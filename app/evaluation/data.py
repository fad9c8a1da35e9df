"""Labelled pictures: parquet files, or folders with a subfolder for each class.

A parquet file has one row per picture: `image` (struct with `bytes`) and `label`, the number of a class. The class list
has the classes in the order of their numbers: a label file as in `labels/`, or CSV with the columns `label` and `name`.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import EvaluationError
from app.recognition.labels import Label, name_indices, parse_labels
from app.text import normalise, read_text

LONGEST = 200  # characters of a class name
HELD_SHARE, HELD_MOST, HELD_SEED = 0.1, 2000, 0  # as in `app.training`, so its held-out pictures stay unseen
_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pictures:
    """Picture files and their class numbers (N,)."""

    files: list[bytes]
    labels: Numbers

    def digest(self) -> str:
        """Return a digest of these pictures in this order."""
        return hashlib.sha256(b"".join(hashlib.sha256(file).digest() for file in self.files)).hexdigest()[:16]

    def __getitem__(self, rows: slice | Numbers) -> "Pictures":
        places = np.arange(len(self.files))[rows]
        return Pictures([self.files[place] for place in places], self.labels[places])


@dataclass(frozen=True)
class Splits:
    """The train, val and test pictures, and the class names."""

    train: Pictures
    val: Pictures
    test: Pictures
    labels: list[Label]
    """The complete class list."""

    def digest(self) -> str:
        """Return a digest of the val and test pictures."""
        return self.val.digest() + self.test.digest()

    @property
    def classes(self) -> list[Label]:
        """Return the classes that occur in the training pictures; the classifiers choose among these."""
        return self.labels[: int(self.train.labels.max()) + 1]


def read_splits(
    train: Sequence[Path], val: Sequence[Path], test: Sequence[Path], classes: Path | None = None
) -> Splits:
    """Read the three splits; raises EvaluationError for unreadable files and unknown classes."""
    names = read_classes(classes) if classes else folder_classes(train)
    learn, report = read_pictures(train, names), read_pictures(test, names)
    if val:
        decide = read_pictures(val, names)
    else:
        learn, decide = hold_out(learn)
    splits = Splits(learn, decide, report, names)
    strange = np.concatenate([decide.labels, report.labels]).max()
    if strange >= len(splits.classes):
        raise EvaluationError(f"no training picture shows {names[strange].name!r}, but others do")
    return splits


def hold_out(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """Split off a random val set if none was given."""
    count = len(pictures.files)
    held = min(HELD_MOST, max(1, round(count * HELD_SHARE)))
    rows = np.random.default_rng(HELD_SEED).permutation(count)
    return pictures[rows[held:]], pictures[rows[:held]]


def read_classes(path: Path) -> list[Label]:
    """Read the classes in the order of their numbers; raises EvaluationError."""
    try:
        text = read_text(path)
    except (OSError, UnicodeError) as error:
        raise EvaluationError(f"the class list {path} cannot be read: {error}") from error
    if path.suffix != ".csv":
        return parse_labels(text, LONGEST)
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or not {"label", "name"} <= rows[0].keys():
        raise EvaluationError(f"{path} lacks the columns label and name")
    if [row["label"] for row in rows] != [str(number) for number in range(len(rows))]:
        raise EvaluationError(f"{path}: the labels are not 0, 1, 2 and so on")
    return [Label(" ".join(row["name"].replace("-", " ").split()).lower()) for row in rows]


def folder_classes(paths: Sequence[Path]) -> list[Label]:
    """Return the sorted subfolder names as classes; raises EvaluationError for parquet files."""
    files = [str(path) for path in paths if path.is_file()]
    if files:
        raise EvaluationError(f"{', '.join(files)}: a parquet file needs a class list, --classes FILE")
    return [Label(name) for name in sorted({folder.name for path in paths for folder in _class_folders(path)})]


def read_pictures(paths: Sequence[Path], classes: Sequence[Label]) -> Pictures:
    """Read all labelled pictures of parquet files and folders; raises EvaluationError."""
    parts = [_parquet(path, len(classes)) if path.is_file() else _folder(path, classes) for path in paths]
    if not sum(len(part.files) for part in parts):
        raise EvaluationError(f"no pictures in {', '.join(map(str, paths))}")
    return Pictures([file for part in parts for file in part.files], np.concatenate([part.labels for part in parts]))


def shown(path: Path | str) -> str:
    """Return the last two parts of a path, without the folders of this machine.

    >>> shown("/home/me/pictures/test.parquet")
    'pictures/test.parquet'
    """
    return "/".join(Path(path).parts[-2:])


def read_files(path: Path) -> list[bytes]:
    """Read the pictures of a parquet file, or of a folder at any depth, without labels; raises EvaluationError."""
    found = _column(path, "image") if path.is_file() else [file.read_bytes() for file in _pictures_in(path)]
    if not found:
        raise EvaluationError(f"no pictures in {path}")
    return found


def _parquet(path: Path, count: int) -> Pictures:
    labels = np.array(_column(path, "label"), dtype=np.int64)
    wrong = labels[(labels < 0) | (labels >= count)]
    if len(wrong):
        raise EvaluationError(f"{path} has the unknown class {wrong[0]}; the class list has 0 to {count - 1}")
    return Pictures(_column(path, "image"), labels)


def _column(path: Path, name: str) -> list[bytes]:
    try:
        column = pq.read_table(path, columns=[name]).column(name).combine_chunks()
        return (column.field("bytes") if name == "image" else column).to_pylist()  # type: ignore[no-any-return]
    except (OSError, KeyError, AttributeError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise EvaluationError(f"{path} is not a parquet file with a column {name}: {reason}") from error


def _folder(path: Path, classes: Sequence[Label]) -> Pictures:
    numbers = name_indices(classes)
    files: list[bytes] = []
    labels: list[int] = []
    for folder in _class_folders(path):
        if normalise(folder.name) not in numbers:
            raise EvaluationError(f"{folder} is the unknown class {folder.name!r}; the class list has {len(classes)}")
        found = [file.read_bytes() for file in _pictures_in(folder)]
        files += found
        labels += [numbers[normalise(folder.name)]] * len(found)
    return Pictures(files, np.array(labels, dtype=np.int64))


def _class_folders(path: Path) -> list[Path]:
    if not path.is_dir():
        raise EvaluationError(
            f"{path} is neither a parquet file nor a folder; `make data` fetches the public data sets"
        )
    return sorted(folder for folder in path.iterdir() if folder.is_dir())


def _pictures_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise EvaluationError(f"{folder} is neither a parquet file nor a folder")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
