"""Colours: red, green and blue from 0 to 1 as a screen shows them, as bytes, or as light."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from samples.arrays import Floats, Rng

Colour = tuple[float, float, float]
Bytes = tuple[int, int, int]

LIGHT = (np.arange(256, dtype=np.float32) / 255) ** 2.2  # of each screen value
SCREEN = (255 * (np.arange(4096) / 4095) ** (1 / 2.2) + 0.5).astype(np.uint8)  # value of light 0-1 in 4096 steps


def mix(first: Colour | Floats, second: Colour | Floats, share: Floats) -> Floats:
    """The first colour where the share is 0 and the second where it is 1."""
    share = np.clip(share, 0, 1)[..., None]
    return (np.asarray(first, np.float32) * (1 - share) + np.asarray(second, np.float32) * share).astype(np.float32)


def vary(rng: Rng, colour: Colour, by: float) -> Colour:
    """A colour near the given one."""
    red, green, blue = (float(np.clip(part + rng.normal(0, by), 0, 1)) for part in colour)
    return red, green, blue


def rgb(colour: Iterable[float], by: float = 255) -> Bytes:
    """The colour in bytes, each part times a number."""
    red, green, blue = (min(int(by * part), 255) for part in colour)
    return red, green, blue


def light_of(picture: Image.Image, size: tuple[int, int], level: float) -> Floats:
    """The light [height, width, 3] of a picture that is stretched to (width, height)."""
    return LIGHT.take(np.asarray(picture.resize(size, Image.Resampling.BILINEAR))) * np.float32(level)
