"""Vectors to search among: of real pictures, cropped and mirrored, or drawn at random in the likeness of CLIP's."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
from PIL import Image, ImageOps
from tqdm import tqdm

from app.components import Model
from app.images.preprocess import preprocessor
from app.model.encoder import unit
from app.model.engines import Floats

FILES = ("cifar10/train.parquet", "cifar10/test.parquet", "grocery/train.parquet", "grocery/val.parquet")
AT_A_TIME = 64
A_CHUNK = 20_000


def drawn_vectors(count: int, size: int = 512) -> Floats:
    """Unit vectors (count, size) of `drawn_chunks`, in one array."""
    return np.concatenate(list(drawn_chunks(count, size)))


def drawn_chunks(count: int, size: int = 512) -> Iterator[Floats]:
    """Unit vectors (n, size), `count` in all, in the likeness of CLIP's.

    They lie in a narrow cone, in 4,000 clusters of 200 groups, and differ mostly in 64 directions. Vectors that are
    independent of each other would show no index at work: they have no neighbours to be found among.
    """
    rng = np.random.default_rng(0)
    falling = (np.arange(1, 65) ** -0.5).astype(np.float32)
    directions = np.linalg.qr(rng.normal(size=(size, 64)))[0].T.astype(np.float32)  # (64, size)
    cone = 2 * unit(rng.normal(size=size).astype(np.float32))
    groups = _normal(rng, 200, 64) * falling
    clusters = groups[rng.integers(0, 200, 4000)] + 0.6 * _normal(rng, 4000, 64) * falling
    for start in range(0, count, A_CHUNK):
        rows = min(A_CHUNK, count - start)
        inner = clusters[rng.integers(0, 4000, rows)] + 0.4 * _normal(rng, rows, 64) * falling
        yield unit(cone + inner @ directions + 0.5 * size**-0.5 * _normal(rng, rows, size))


def real_vectors(model: Model, data: Path, count: int) -> Floats:
    """Unit vectors (count, D) of the pictures under `data`, each as often as it takes, cropped and mirrored anew."""
    preprocess, rng = preprocessor(model.config.image_form), np.random.default_rng(0)
    pixels, vectors = [], []
    for number, picture in zip(tqdm(range(count), unit="picture"), _pictures(data), strict=False):
        pixels.append(preprocess(_varied(picture, rng)))
        if len(pixels) == AT_A_TIME or number == count - 1:
            vectors.append(model.encoder.pictures(pixels))
            pixels = []
    return np.concatenate(vectors)


def _pictures(data: Path) -> Iterator[Image.Image]:
    """The pictures of all files, over and over."""
    while True:
        for name in FILES:
            for batch in pyarrow.parquet.ParquetFile(data / name).iter_batches(1000, columns=["image"]):
                for row in batch.column("image").to_pylist():
                    yield Image.open(io.BytesIO(row["bytes"])).convert("RGB")


def _varied(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A crop of 70 to 100 % of each side, mirrored half of the time."""
    width, height = (round(side * rng.uniform(0.7, 1)) for side in picture.size)
    left, top = int(rng.integers(picture.width - width + 1)), int(rng.integers(picture.height - height + 1))
    crop = picture.crop((left, top, left + width, top + height))
    return ImageOps.mirror(crop) if rng.random() < 0.5 else crop


def _normal(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    return rng.standard_normal((rows, columns), dtype=np.float32)
