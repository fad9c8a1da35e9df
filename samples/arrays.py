"""Arrays that vary smoothly, and the repeatable chance they come from."""

import math
import zlib
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.floating[Any]]
Number = TypeVar("Number", float, Floats)
Rng = np.random.Generator


def dice(*parts: object) -> Rng:
    """A random source that depends on all the parts and on nothing else."""
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


def resize(array: Floats, height: int, width: int, how: Image.Resampling = Image.Resampling.BICUBIC) -> Floats:
    """The array [rows, columns] in another size, smooth between its values."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(array, np.float32)).resize((width, height), how))


def noise(rng: Rng, cells: tuple[int, int], height: int, width: int) -> Floats:
    """Smooth noise from -1 to 1 with so many cells down and across."""
    return resize(rng.uniform(-1, 1, cells), height, width)


def grain(rng: Rng, shape: tuple[int, int], down: int, around: int) -> Floats:
    """Smooth noise about 0 with so many cells down and around; it closes up where the surface does."""
    half = rng.uniform(-1, 1, (down, around // 2 + 1))
    return resize(np.concatenate([half, half[:, ::-1]], 1), *shape)


def bell(x: Floats, width: float) -> Floats:
    """A bump of height 1 at 0."""
    bump: Floats = np.exp(-((x / width) ** 2))
    return bump


def rotate(x: Number, y: Number, angle: float) -> tuple[Number, Number]:
    """The point turned about the origin, from x towards y."""
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * x - sin * y, sin * x + cos * y
