"""Training data without some of its classes, to be taught later as few-shot labels.

A split is a folder that `app.training` reads like the complete data. `data/` has the pictures of the kept classes, with
new numbers, and `labels/` a label file that begins with them. `split.json` names the classes that were left out.
"""

import csv
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.text import read_text


@dataclass(frozen=True)
class Split:
    """Class numbers of the complete data."""

    kept: list[int]
    left_out: list[int]

    @classmethod
    def load(cls, folder: Path) -> "Split":
        """Load what `write_split` wrote."""
        return cls(**json.loads((folder / "split.json").read_text(encoding="utf-8")))


def draw_split(seed: int, classes: int, leave: int) -> Split:
    """Choose `leave` classes at random; the same seed chooses the same ones."""
    left = sorted(np.random.default_rng(seed).permutation(classes)[:leave].tolist())
    return Split([number for number in range(classes) if number not in left], left)


def write_split(split: Split, data: Path, labels: Path, folder: Path) -> None:
    """Write the split's folder from `data` (grocery/ and cifar10/) and `labels` (the label files)."""
    grocery = folder / "data/grocery"
    grocery.mkdir(parents=True, exist_ok=True)
    (folder / "data/cifar10").unlink(missing_ok=True)
    (folder / "data/cifar10").symlink_to((data / "cifar10").resolve())
    for name in ("train.parquet", "val.parquet"):
        pq.write_table(pictures_of(pq.read_table(data / "grocery" / name), split.kept), grocery / name)
    write_classes(data / "grocery/classes.csv", split.kept, grocery / "classes.csv")
    write_labels(labels, split, folder / "labels")
    (folder / "split.json").write_text(json.dumps(asdict(split)) + "\n", encoding="utf-8")


def pictures_of(table: pa.Table, kept: list[int]) -> pa.Table:
    """Return the rows of the kept classes, with their new numbers."""
    chosen = table.filter(pc.is_in(table["label"], pa.array(kept)))
    numbers = pc.index_in(chosen["label"], pa.array(kept)).cast(pa.int64())
    return chosen.select(["image"]).append_column("label", numbers)


def write_classes(source: Path, kept: list[int], target: Path) -> None:
    """Return the class list's rows of the kept classes; both kinds of numbers run from 0 again."""
    with source.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["label"]) in kept]
    coarse = list(dict.fromkeys(row["coarse_label"] for row in rows))
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow(row | {"label": str(number), "coarse_label": str(coarse.index(row["coarse_label"]))})


def write_labels(source: Path, split: Split, target: Path) -> None:
    """Write the label files; `pantry.txt` begins with the kept classes, then those left out, then the rest."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    path = target / "pantry.txt"
    lines = [line for line in read_text(path).splitlines() if line and not line.startswith("#")]
    count = len(split.kept) + len(split.left_out)
    order = [lines[number] for number in split.kept + split.left_out] + lines[count:]
    path.write_text("\n".join(order) + "\n", encoding="utf-8")
