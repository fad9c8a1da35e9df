"""Embeddings of real pictures to search among, and of texts to search by; cached in a folder.

CIFAR-10, groceries and things are some 64,000 pictures. Further embeddings are derived: a picture's embedding plus 0.5
to 1 times the change that cropping and mirroring made to another picture's embedding.
"""

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet
from PIL import Image, ImageOps
from tqdm import tqdm

from app.components import Model
from app.images.prepare import preprocessor
from app.model.encoder import unit
from app.model.engines import Floats
from app.recognition.labels import parse_labels
from harness.server import ROOT

FILES = (*("things/pictures", "grocery/val", "grocery/test_sample", "grocery/train", "cifar10/test", "cifar10/train"),)
CROPPED_FILES = FILES[:-1]
CROPPED = 500  # pictures of each of these files that are also cropped
AT_ONCE = 64
CHUNK = 50_000
WAYS = ("a photo of {}.", "{}", "a close-up of {} on a shelf", "someone holding {}")


def of_pictures(model: Model, data: Path, kept: Path) -> Floats:
    """Return unit embeddings (N, D) of all pictures below `data`."""
    return np.concatenate([kept_vectors(model, kept, name, pictures_in(data, name)) for name in FILES])


def of_crops(model: Model, data: Path, kept: Path) -> Floats:
    """Return the changes (n, D) that cropping and mirroring make to embeddings of some pictures of each file."""
    rng, differences = np.random.default_rng(0), []
    for name in CROPPED_FILES:
        whole = kept_vectors(model, kept, name, pictures_in(data, name))[:CROPPED]
        crops = (_varied(picture, rng) for picture in islice(pictures_in(data, name), CROPPED))
        differences.append(kept_vectors(model, kept, f"{name}-crops", crops) - whole)
    return np.concatenate(differences)


def many(pictures: Floats, crops: Floats, count: int) -> Iterator[Floats]:
    """Yield `count` unit vectors (n, D): the pictures' embeddings, then these plus a part of a crop's change."""
    yield pictures[:count]
    rng = np.random.default_rng(1)
    for start in range(len(pictures), count, CHUNK):
        rows = min(CHUNK, count - start)
        share = rng.uniform(0.5, 1, (rows, 1)).astype(np.float32)
        yield unit(
            pictures[rng.integers(len(pictures), size=rows)] + share * crops[rng.integers(len(crops), size=rows)]
        )


def of_texts(model: Model, data: Path, count: int) -> Floats:
    """Return unit embeddings (count, D) of queries: CIFAR-10's classes, groceries and things in four wordings."""
    labels = parse_labels((ROOT / "labels/pantry.txt").read_text(), longest=200)
    things = pyarrow.parquet.read_table(data / "things/pictures.parquet", columns=["name"])["name"].to_pylist()
    rng = np.random.default_rng(0)
    names = (data / "cifar10/classes.txt").read_text().split() * len(WAYS)
    names += rng.permutation([label.name for label in labels])[: (count - len(names)) // 2].tolist()
    names += rng.permutation(things)[: count - len(names)].tolist()
    return model.encoder.texts([WAYS[row % len(WAYS)].format(name) for row, name in enumerate(names)])


def kept_vectors(model: Model, folder: Path, name: str, pictures: Iterable[Image.Image]) -> Floats:
    """Read the embeddings (N, D) from the folder, or encode the pictures and store them there."""
    path = folder / f"{model.checksum[:12]}-{name.replace('/', '-')}.npy"
    if not path.exists():
        preprocess, pixels, vectors = preprocessor(model.config.image_form), [], []
        for picture in tqdm(pictures, unit="picture", desc=name, disable=None):
            pixels.append(preprocess(picture))
            if len(pixels) == AT_ONCE:
                vectors.append(model.encoder.pictures(pixels))
                pixels = []
        vectors += [model.encoder.pictures(pixels)] if pixels else []
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, np.concatenate(vectors))
    found: Floats = np.load(path)
    return found


def pictures_in(data: Path, name: str) -> Iterator[Image.Image]:
    """Yield the pictures of a parquet file."""
    for batch in pyarrow.parquet.ParquetFile(data / f"{name}.parquet").iter_batches(1000, columns=["image"]):
        for row in batch.column("image").to_pylist():
            yield Image.open(io.BytesIO(row["bytes"])).convert("RGB")


def _varied(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Crop to 70 to 100 % of each side, and mirror half of the time."""
    width, height = (round(side * rng.uniform(0.7, 1)) for side in picture.size)
    left, top = int(rng.integers(picture.width - width + 1)), int(rng.integers(picture.height - height + 1))
    crop = picture.crop((left, top, left + width, top + height))
    return ImageOps.mirror(crop) if rng.random() < 0.5 else crop
