"""Pictures of a data set, with the predictions of the evaluation's CNN."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from app.ui.picking import KINDS

EVALUATION = Path(__file__).parents[2] / "docs/evaluation"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Evaluated:
    """The evaluation's results on these pictures."""

    title: str
    classes: list[str]
    template: str
    """The prompt template of the report, with `{}` for the class."""
    cnn: Floats
    """The CNN's probabilities (N, C)."""


@dataclass(frozen=True)
class DataSet:
    """Picture files, their classes if known, and the evaluation's predictions if they belong to these pictures."""

    digest: str
    files: list[bytes]
    labels: list[int | str] | None
    """Class numbers from a parquet file, folder names from a folder."""
    evaluated: Evaluated | None

    def shown(self, index: int) -> str | None:
        """Return what a picture shows according to its data set; None if that has no name here."""
        if self.labels is None:
            return None
        label = self.labels[index]
        if isinstance(label, str):
            return label
        return self.evaluated.classes[label] if self.evaluated else f"class {label}"


def read_data_set(path: Path) -> DataSet:
    """Read a parquet file with a column `image` (and `label`), or a folder; raises ValueError with a sentence."""
    files, labels = _folder(path) if path.is_dir() else _parquet(path)
    if not files:
        raise ValueError(f"There are no pictures in {path}.")
    digest = hashlib.sha256(b"".join(hashlib.sha256(file).digest() for file in files)).hexdigest()[:16]
    return DataSet(digest, files, labels, _evaluated(digest))


def _folder(path: Path) -> tuple[list[bytes], list[int | str] | None]:
    found = sorted(each for each in path.rglob("*") if each.suffix.lower().removeprefix(".") in KINDS)
    inside = [each.parent != path for each in found]
    return [each.read_bytes() for each in found], [each.parent.name for each in found] if all(inside) else None


def _parquet(path: Path) -> tuple[list[bytes], list[int | str] | None]:
    try:
        table = pq.read_table(path)
        files = table.column("image").combine_chunks().field("bytes").to_pylist()
    except (OSError, KeyError, AttributeError, pa.ArrowException) as error:
        raise ValueError(f"{path} is neither a folder nor a parquet file with a column “image” of pictures.") from error
    return files, table.column("label").to_pylist() if "label" in table.column_names else None


def _evaluated(digest: str) -> Evaluated | None:
    """Find the stored predictions for these pictures: a file of them ends its digest with that of the test pictures."""
    for path in sorted(EVALUATION.glob("*-cnn.npz")):
        with np.load(path) as kept:
            if str(json.loads(str(kept["facts"]))["digest"]).endswith(digest):
                report: dict[str, Any] = json.loads(path.with_name(path.name.replace("-cnn.npz", ".json")).read_text())
                template = report["contestants"][0]["made"].strip("“”")
                return Evaluated(
                    report["title"], report["classes"], template, _softmax(kept["test"].astype(np.float32))
                )
    return None


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
