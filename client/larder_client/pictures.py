"""Encode a picture, in whatever form a program holds it, as a file that the service takes."""

import base64
import contextlib
import io
import os
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms

SHORTEST = 448  # pixels: the model sees a square of at most about half of that, cut from the middle
_QUALITY = 90
_LONGEST_JPEG = 65_500  # pixels a side

_AS_THEY_ARE = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # formats that every service accepts
_CONVERTED = ("TIFF", "AVIF", "HEIF")  # formats that not every service accepts, and Pillow reads, the last with pi-heif

# EXIF 2.32, tag 0x0112: the transformation that shows the picture upright
_ORIENTATION_TAG = 0x0112
_TRANSPOSE: dict[Any, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Picture = Any
"""A path (str or PathLike), a file's bytes, a PIL picture, or an array (H, W), (H, W, 3) RGB or (H, W, 4) of uint8.

For teaching, and if a call takes one picture, it may also be an http or https URL (str), which the service fetches if
its LARDER_IMAGE_URLS allows it.
"""


def is_address(picture: Picture) -> bool:
    """Return whether a picture is given by its URL."""
    return isinstance(picture, str) and picture[:8].lower().startswith(("http://", "https://"))


def as_field(picture: Picture, shrink: bool = True) -> dict[str, bytes | str]:
    """Encode a picture or its URL as a field of a request; otherwise like `as_file`."""
    return {"image_url": picture} if is_address(picture) else {"image_data": as_file(picture, shrink)}


def as_file(picture: Picture, shrink: bool = True) -> bytes:
    """Encode a picture as a file for the service, with its shortest side reduced to at most 448 pixels.

    The model's own resizing starts at the shortest side, so nothing that it would see is lost. Files that need no
    shrinking are sent unchanged, except TIFF, AVIF and, with the package pi-heif, HEIC, which become JPEG or PNG. Files
    that cannot be read here are sent unchanged too: the service reports the error.

    Raises OSError if a path cannot be read, TypeError for a type that `Picture` does not list.
    """
    if isinstance(picture, (str, os.PathLike)):
        picture = Path(picture).read_bytes()
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return _from_file(bytes(picture), shrink)
    image = picture if isinstance(picture, Image.Image) else _from_array(picture)
    return _encoded(image, shrink)


def as_base64(picture: Picture, shrink: bool = True) -> str:
    """Encode a picture's file in base64, for JSON; otherwise like `as_file`."""
    return base64.b64encode(as_file(picture, shrink)).decode()


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; unreadable EXIF data is ignored, as viewers do."""
    try:
        transpose = _TRANSPOSE.get(image.getexif().get(_ORIENTATION_TAG))
    except Exception:  # some cameras and editors write invalid EXIF; the pixels are still valid
        return image
    return image if transpose is None else image.transpose(transpose)


def displayable(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to L or RGB, or to RGBA if it has transparency, as viewers show it.

    Modes I;16 and I are read as 16 bits of grey, F as 0 to 255.
    """
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if image.has_transparency_data:
        return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB") or image
    return image.convert("L" if image.mode in ("1", "L", "F") else "RGB")


def open_file(data: bytes) -> Image.Image:
    """Open a picture's file without decoding it; HEIC if the package pi-heif is installed.

    Raises what Pillow raises.
    """
    with contextlib.suppress(ImportError):
        if data[4:8] == b"ftyp":
            from pi_heif import register_heif_opener

            register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    readable = [name for name in _AS_THEY_ARE + _CONVERTED if name != "HEIF" or name in Image.OPEN]
    return Image.open(io.BytesIO(data), formats=readable)


def _from_file(data: bytes, shrink: bool) -> bytes:
    """Return the bytes to send for a file: unchanged, unless the picture is large or its format must be converted."""
    try:
        image = open_file(data)
        if image.format not in _CONVERTED:
            plain = image.mode in ("RGB", "L") and not image.has_transparency_data
            if not (shrink and plain and min(image.size) > SHORTEST):
                return data
            image.draft(image.mode, _size(image, 2 * SHORTEST))  # only JPEG: decodes at a fraction of the size
        return _encoded(image, shrink)
    except Exception:  # decoders raise many kinds of errors on damaged files; the service decides about those
        return data


def _encoded(image: Image.Image, shrink: bool) -> bytes:
    """Encode a picture as JPEG, or as PNG if JPEG cannot represent it."""
    image = displayable(upright(image))
    if shrink and min(image.size) > SHORTEST:
        image = image.resize(_size(image, SHORTEST), Image.Resampling.BICUBIC, reducing_gap=3.0)
    profile = image.info.get("icc_profile") or b""
    fits = profile[16:20] == (b"GRAY" if image.mode == "L" else b"RGB ")  # not that of CMYK
    options = {"icc_profile": profile if fits else None}
    file = io.BytesIO()
    if image.mode == "RGBA" or max(image.size) > _LONGEST_JPEG:
        image.save(file, "PNG", **options)
    else:
        image.save(file, "JPEG", quality=_QUALITY, **options)
    return file.getvalue()


def _size(image: Image.Image, shortest: int) -> tuple[int, int]:
    """Return width and height with that shortest side and the same aspect ratio."""
    share = shortest / min(image.size)
    return max(1, round(image.width * share)), max(1, round(image.height * share))


def _from_array(array: Any) -> Image.Image:
    """Convert an array to a picture."""
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
