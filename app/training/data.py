"""Pictures as arrays of one size, and the grocery classes."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from app.images.prepare import center_crop
from app.images.resize import resizer


@dataclass(frozen=True)
class Pictures:
    """Pictures of one size with their class numbers."""

    pixels: np.ndarray
    """(N, 3, S, S) uint8"""
    labels: np.ndarray
    """(N,) int64"""

    def __getitem__(self, rows: np.ndarray) -> "Pictures":
        return Pictures(self.pixels[rows], self.labels[rows])

    def resized(self, size: int) -> "Pictures":
        """Resize all pictures to `size` pixels."""
        upright = self.pixels.transpose(0, 2, 3, 1)  # (N, S, S, 3)
        return Pictures(np.stack([square(Image.fromarray(one), size) for one in upright]), self.labels)


@dataclass(frozen=True)
class Classes:
    """The grocery classes, ordered by number."""

    coarse_of: np.ndarray  # (fine,) int64: coarse number of each fine class
    coarse_names: list[str]  # human-readable
    names: list[str] = field(default_factory=list)  # of the fine classes, human-readable


def square(picture: Image.Image, size: int) -> np.ndarray:
    """Crop a picture as the service does: (3, size, size) uint8."""
    cropped = center_crop(picture.convert("RGB"), size, resizer("bicubic"))
    return np.asarray(cropped, dtype=np.uint8).transpose(2, 0, 1)


def read_pictures(path: Path, size: int, rows: slice = slice(None)) -> Pictures:
    """Decode the chosen rows of a parquet file and resize every picture to `size`."""
    table = pq.read_table(path, columns=["image", "label"])
    chunks = table.column("image").combine_chunks().field("bytes")[rows]
    labels = table.column("label").to_numpy()[rows]
    return Pictures(decoded([chunk.as_py() for chunk in chunks], size), labels.astype(np.int64))


def decoded(files: Sequence[bytes], size: int) -> np.ndarray:
    """Decode picture files and resize them: (N, 3, size, size) uint8."""
    return np.stack([square(Image.open(io.BytesIO(file)), size) for file in files])


def read_classes(path: Path) -> Classes:
    """Read the CSV of grocery classes: label, name, coarse_label, coarse_name."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["label"]))
    coarse = {int(row["coarse_label"]): plain(row["coarse_name"]) for row in rows}
    return Classes(
        coarse_of=np.array([int(row["coarse_label"]) for row in rows]),
        coarse_names=[coarse[number] for number in range(len(coarse))],
        names=[plain(row["name"]) for row in rows],
    )


def plain(name: str) -> str:
    """Make a class name human-readable: "Passion-Fruit" and "passion_fruit" become "passion fruit"."""
    return " ".join(name.lower().replace("-", " ").replace("_", " ").split())
