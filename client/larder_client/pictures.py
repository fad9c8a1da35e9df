"""Pictures in any of the forms that programs hold them in, to the base64 that the service takes."""

import base64
import io
import os
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

SHORTEST = 448  # pixels: the model sees a square of at most about half of that, cut from the middle
_QUALITY = 90

Picture = Any
"""A path (str or PathLike), a file's bytes, a PIL picture, or an array (H, W), (H, W, 3) RGB or (H, W, 4) of uint8."""


def as_base64(picture: Picture, shrink: bool = True) -> str:
    """A picture as the service takes it, its shortest side shrunk to 448 pixels where it is longer.

    The model's own resizing starts at the shortest side, so what is lost is what it would not have seen. Files that
    need no shrinking go as they are, byte for byte; what cannot be read here goes to the service, which says why.

    Raises OSError when a path cannot be read, TypeError for a form that is not among those of `Picture`.
    """
    if isinstance(picture, (str, os.PathLike)):
        picture = Path(picture).read_bytes()
    if isinstance(picture, (bytes, bytearray, memoryview)):
        data = bytes(picture)
        return _text(_smaller(data) if shrink else data)
    image = picture if isinstance(picture, Image.Image) else _from_array(picture)
    return _text(_file(_shrunk(image) if shrink else image))


def _smaller(data: bytes) -> bytes:
    """A file's bytes, of a smaller picture where that one is large and of a kind that cameras make."""
    try:
        image = Image.open(io.BytesIO(data))
        if min(image.size) <= SHORTEST or image.mode not in ("RGB", "L"):
            return data
        image.draft(image.mode, _size(image, 2 * SHORTEST))  # JPEG alone: decodes at a fraction of the size
        return _file(_shrunk(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return data


def _shrunk(image: Image.Image) -> Image.Image:
    """Upright, and its shortest side at most 448 pixels."""
    upright = ImageOps.exif_transpose(image)
    if min(upright.size) <= SHORTEST:
        return upright
    return upright.resize(_size(upright, SHORTEST), Image.Resampling.BICUBIC, reducing_gap=3.0)


def _size(image: Image.Image, shortest: int) -> tuple[int, int]:
    """Width and height with that shortest side, in the same proportion."""
    share = shortest / min(image.size)
    return max(1, round(image.width * share)), max(1, round(image.height * share))


def _file(image: Image.Image) -> bytes:
    """JPEG for what JPEG can hold, PNG for the rest."""
    file = io.BytesIO()
    if image.mode in ("RGB", "L"):
        image.save(file, "JPEG", quality=_QUALITY)
    else:
        image.save(file, "PNG")
    return file.getvalue()


def _from_array(array: Any) -> Image.Image:
    """An array as a picture."""
    form = getattr(array, "__array_interface__", None)
    if form is None:
        raise TypeError(f"a picture is a path, bytes, a PIL picture or an array, not {type(array).__name__}")
    shape = form["shape"]
    if form["typestr"] != "|u1" or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (3, 4)):
        raise TypeError(
            f"an array of shape {tuple(shape)} and type {form['typestr']} was given; "
            "(H, W), (H, W, 3) RGB or (H, W, 4) RGBA of uint8 is allowed"
        )
    return Image.fromarray(array)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
