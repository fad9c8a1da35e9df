"""Twenty-four small pictures of three classes, cut out of the samples, and a run small enough for a test."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

KINDS = ("banana", "cucumber", "red-bell-pepper")
EACH = 8
TINY = (
    "epochs=3", "pictures_per_step=8", "held_out=0.25", "sizes=[16]", "image_size=16", "stored_size=16",
    "widths=[12, 24]", "depths=[1, 1]", "embedding_size=16", "text_width=16", "text_layers=1", "vocabulary_size=300",
    "learning_rate=0.005", "mix_share=0.3",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """For tiny tensors, waiting threads cost more than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pictures(kind: str) -> list[bytes]:
    """PNG files of random cuts of one sample."""
    rng = np.random.default_rng(len(kind))
    whole = Image.open(f"samples/{kind}.jpg").convert("RGB").resize((60, 60))
    files = []
    for left, top in rng.integers(0, 20, (EACH, 2)).tolist():
        file = io.BytesIO()
        whole.crop((left, top, left + 40, top + 40)).save(file, "PNG")
        files.append(file.getvalue())
    return files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for each class."""
    for kind in KINDS:
        (tmp_path / "folder" / kind).mkdir(parents=True)
        for number, data in enumerate(pictures(kind)):
            (tmp_path / "folder" / kind / f"{number}.png").write_bytes(data)
    return tmp_path / "folder"


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """The same pictures in the same order as a parquet file, with a class list next to it."""
    rows = [
        {"image": {"bytes": data, "path": ""}, "label": label}
        for label, kind in enumerate(KINDS)
        for data in pictures(kind)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "some.parquet")
    (tmp_path / "classes.txt").write_text("\n".join(KINDS) + "\n")
    return tmp_path / "some.parquet"


@pytest.fixture
def table(folder: Path) -> Path:
    """A CSV file of the pictures in the folder; those of one class share a caption."""
    lines = [f"{kind}/{number}.png,a heap of {kind}" for kind in KINDS for number in range(EACH)]
    (folder / "some.csv").write_text("path,caption\n" + "\n".join(lines) + "\n")
    return folder / "some.csv"


@pytest.fixture
def words(folder: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of a tiny training of the folder; more may be added."""

    def words(*more: str, keep: str = "run") -> list[str]:
        sets = [word for setting in TINY for word in ("--set", setting)]
        start = ["train", str(folder), "--keep", str(tmp_path / keep), "--recipe", "cifar", "--threads", "1"]
        return [*start, *sets, *more]

    return words
