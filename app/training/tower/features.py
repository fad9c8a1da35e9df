"""Compute features of pictures from both tails, as the service does."""

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pyarrow.parquet as pq
from torch import nn

from app.images.header import ImageLimits
from app.images.prepare import ImageForm, Preparer
from app.model.engines import Floats
from app.training.runs import read_state
from app.training.tower.export import Served, write_visual
from app.training.tower.network import FROZEN, SIZES, Tail, pretrained

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # of every channel, as the pretrained weights expect
BATCH = 16


def image_form(network: str) -> ImageForm:
    """Return the preprocessing for the network's input."""
    return ImageForm(SIZES[network], "shortest", "bicubic", MEAN, STD)


def tuned(network: Any, frozen: int, checkpoint: Path) -> Any:
    """Copy the network and load the averaged weights of a run into its tail."""
    other = copy.deepcopy(network)
    weights = read_state(checkpoint)["average"]
    tail = {name.removeprefix("tail."): weight for name, weight in weights.items() if name.startswith("tail.")}
    Tail(other, frozen).load_state_dict(tail)  # shares its blocks with `other`
    return other


def tower(name: str, checkpoint: Path, head: nn.Module) -> Served:
    """Build the tower of a run as it is served."""
    network, frozen = pretrained(name), FROZEN[name]
    return Served(network, tuned(network, frozen, checkpoint), frozen, SIZES[name], head)


@dataclass(frozen=True)
class Labelled:
    """Features (N, F) of pictures and their labels (N,)."""

    features: Floats
    labels: np.ndarray


class FeatureExtractor:
    """Extracts features (N, F) from pictures: the untouched tail's, then the tuned tail's."""

    def __init__(self, name: str, checkpoint: Path) -> None:
        self.preparer = Preparer(image_form(name), ImageLimits())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "features.onnx"
            write_visual(tower(name, checkpoint, nn.Identity()), SIZES[name], path)
            self.network = ov.Core().compile_model(str(path), "CPU", {"PERFORMANCE_HINT": "LATENCY"})

    def extract(self, files: Sequence[bytes]) -> Floats:
        """Extract the features of picture files."""
        return np.concatenate([self._batch(files[start : start + BATCH]) for start in range(0, len(files), BATCH)])

    def _batch(self, files: Sequence[bytes]) -> Floats:
        pixels = np.stack([self.preparer.pixels(file) for file in files])
        return np.array(self.network(pixels)[0], np.float32)

    def read(self, path: Path, rows: slice = slice(None)) -> Labelled:
        """Extract the features of a parquet file's pictures (`image`, `label`)."""
        table = pq.read_table(path, columns=["image", "label"])
        files = table.column("image").combine_chunks().field("bytes").to_pylist()[rows]
        return Labelled(self.extract(files), table.column("label").to_numpy()[rows])


EVERYDAY = slice(0, None, 25)  # rows of CIFAR-10's training pictures


def write_features(name: str, folder: Path, data: Path) -> None:
    """Write `features.npz` of a finished run: features of train, val and everyday pictures."""
    extractor = FeatureExtractor(name, folder / "checkpoint.pt")
    files = {"train": "grocery/train", "val": "grocery/val", "everyday": "cifar10/train"}
    seen = {
        split: extractor.read(data / f"{file}.parquet", EVERYDAY if split == "everyday" else slice(None))
        for split, file in files.items()
    }
    features = {split: each.features.astype(np.float16) for split, each in seen.items()}
    labels = {f"{split}_labels": each.labels for split, each in seen.items()}
    np.savez(folder / "features.npz", **features, **labels)  # type: ignore[arg-type]
