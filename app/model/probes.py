"""Drawn pictures that engines and bundles are compared on: the same each time, unlike each other."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from app.images.prepare import ImageForm

Picture = npt.NDArray[np.uint8]
"""(H, W, 3)."""


def draw_picture(number: int, width: int, height: int, rng: np.random.Generator) -> Picture:
    """Draw noise, checks, a gradient or shapes, by the number: (height, width, 3)."""
    return _KINDS[number % len(_KINDS)](width, height, rng)


def probe_pictures(form: ImageForm, count: int = 64) -> npt.NDArray[np.float32]:
    """Draw `count` pictures of a model's size as its preprocessed input: (count, 3, S, S)."""
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_picture(number, form.size, form.size, rng) for number in range(count)])  # (N, S, S, 3)
    pixels = (drawn / 255 - np.array(form.mean)) / np.array(form.std)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)


def _noise(width: int, height: int, rng: np.random.Generator) -> Picture:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _checks(width: int, height: int, rng: np.random.Generator) -> Picture:
    """Squares of two colours, 13 pixels wide."""
    colours = _noise(1, 2, rng)[:, 0]
    odd = (np.arange(width)[None] // 13 + np.arange(height)[:, None] // 13) % 2  # (H, W)
    return np.asarray(colours[odd], np.uint8)


def _gradient(width: int, height: int, rng: np.random.Generator) -> Picture:
    """From one colour at the left to a second at the right, and to a third at the bottom."""
    left, right, bottom = rng.uniform(0, 255, (3, 3))
    x, y = np.linspace(0, 1, width)[None, :, None], np.linspace(0, 1, height)[:, None, None]
    return np.asarray((left * (1 - x) + right * x) * (1 - y) + bottom * y, np.uint8)


def _shapes(width: int, height: int, rng: np.random.Generator) -> Picture:
    """Ten ellipses and rectangles on a ground."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = _noise(1, 1, rng)
    for number in range(10):
        (left, right), (top, bottom) = np.sort(rng.uniform(0, width, 2)), np.sort(rng.uniform(0, height, 2))
        x = (np.arange(width)[None] - left) / (right - left) * 2 - 1  # from -1 to 1 within the box
        y = (np.arange(height)[:, None] - top) / (bottom - top) * 2 - 1
        inside = x**2 + y**2 <= 1 if number % 2 else np.maximum(abs(x), abs(y)) <= 1  # (H, W)
        picture[inside] = _noise(1, 1, rng)
    return picture


_KINDS: list[Callable[[int, int, np.random.Generator], Picture]] = [_noise, _checks, _gradient, _shapes]
