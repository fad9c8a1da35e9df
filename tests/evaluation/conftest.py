"""Drawn pictures of four colours as files, and a bundle that sees colours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.bundles import write_bundle
from tests.fakes import COLOURS, as_bytes

CLASSES = ("red", "green", "blue", "yellow")


def speckled(colour: str, seed: int, noise: float = 60) -> bytes:
    """A picture of a colour under noise, as a PNG file's bytes."""
    grain = np.random.default_rng(seed).normal(0, noise, (12, 12, 3))
    return as_bytes(Image.fromarray(np.clip(np.array(COLOURS[colour]) + grain, 0, 255).astype(np.uint8)))


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    """Write a parquet file with this many pictures of each class."""

    def write(name: str, each: int, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> Path:
        rows = [
            {"image": {"bytes": speckled(colour, seed + 97 * number + place)}, "label": number}
            for number, colour in enumerate(classes)
            for place in range(each)
        ]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def class_list(tmp_path: Path) -> Path:
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(CLASSES))
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny", calibration=None)


@pytest.fixture
def prompts(tmp_path: Path) -> list[str]:
    """Options that name templates and background prompts."""
    (tmp_path / "templates.txt").write_text("a photo of {}.\n{}\n")
    (tmp_path / "background.txt").write_text("something black\nwhite\n")
    return ["--templates", str(tmp_path / "templates.txt"), "--background", str(tmp_path / "background.txt")]
