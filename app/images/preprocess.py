"""An RGB picture to the model's input array, with the same numbers as open_clip's own transform.

Source of the numbers: open_clip's `image_transform` for inference, which is torchvision's Resize (Pillow's
antialiased filters on 8-bit pixels), CenterCrop, ToTensor and Normalize. `tests/test_preprocess.py` holds the two
together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.images.colour import Convert, unchanged

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_WIDEST = 20  # beyond this ratio of the sides the far ends, which the centre crop drops, are cut before resizing


@dataclass(frozen=True)
class ImageForm:
    """The form in which a model takes pictures; fields of a bundle's `config.json`."""

    size: int
    resize_mode: str  # "shortest", "longest" or "squash"
    interpolation: str  # "bicubic" or "bilinear"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def preprocessor(form: ImageForm) -> Callable[..., npt.NDArray[np.float32]]:
    """A function from an RGB picture to a (3, size, size) float32 array, and from what converts its colours to sRGB.

    Raises ValueError when the form is none that this file knows.
    """
    fits = {"shortest": _crop, "longest": _pad, "squash": _squash}
    if form.resize_mode not in fits:
        raise ValueError(f"resize_mode {form.resize_mode!r} was found; known are {', '.join(fits)}")
    if form.interpolation not in _FILTERS:
        raise ValueError(f"interpolation {form.interpolation!r} was found; known are {', '.join(_FILTERS)}")
    fit, resample = fits[form.resize_mode], _FILTERS[form.interpolation]
    mean, std = (np.array(values)[:, None, None] for values in (form.mean, form.std))  # (3, 1, 1)
    scale, offset = (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)

    def preprocess(picture: Image.Image, convert: Convert = unchanged) -> npt.NDArray[np.float32]:
        pixels = np.asarray(convert(fit(picture, form.size, resample)))  # (size, size, 3) uint8
        values: npt.NDArray[np.float32] = np.multiply(pixels.transpose(2, 0, 1), scale, order="C")  # (3, size, size)
        values += offset
        return values

    return preprocess


def _crop(picture: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    """The shortest side to `size`, then the centre; a side is rounded down, an offset to the nearest."""
    picture = _without_far_ends(picture)
    width, height = picture.size
    short = min(width, height)
    new = (size, int(size * height / short)) if width <= height else (int(size * width / short), size)
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    return picture.resize(new, resample).crop((left, top, left + size, top + size))


def _without_far_ends(picture: Image.Image) -> Image.Image:
    """A picture of 1 x 50,000,000 pixels must not become one of 224 x 11,200,000,000."""
    width, height = picture.size
    longest = _WIDEST * min(width, height)
    if max(width, height) <= longest:
        return picture
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return picture.crop((left, top, width - left, height - top))


def _pad(picture: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    """The longest side to `size`, black beside it."""
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    canvas = Image.new("RGB", (size, size))
    canvas.paste(picture.resize((width, height), resample), ((size - width) // 2, (size - height) // 2))
    return canvas


def _squash(picture: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    """Both sides to `size`, whatever the aspect ratio."""
    return picture.resize((size, size), resample)
