"""Decode a picture to upright RGB in sRGB, with transparency flattened on white.

The service and its commands decode only through `prepare`, which bounds how much is decoded at a time.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from app.errors import InvalidImage
from app.images.header import Header, ImageLimits, read_header

_CACHED = 64 * 1024  # bytes; RGB profiles of cameras and phones have 500 to 4,000, tables for printing a megabyte
_SAME = 2  # grey levels within which a profile equals sRGB
_MAX_TAGS = 100  # of a profile: LittleCMS refuses more
_BLOCK = 1_000_000  # pixels flattened at a time
_WIDE = 8192  # pixels; width of a block, a multiple of 8

# EXIF 2.32, tag 0x0112: the transformation that shows the picture upright
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED = {5, 6, 7, 8}  # orientations that swap width and height

Convert = Callable[[Image.Image], Image.Image]


class Decoded(NamedTuple):
    """An upright RGB picture, and the function that converts it, or any part of it, to sRGB."""

    picture: Image.Image
    convert: Convert


def open_picture(data: bytes, limits: ImageLimits) -> Image.Image:
    """Decode the picture in `data` in full: first frame, upright, sRGB, transparency flattened on white.

    For local files such as training data. Raises InvalidImage, UnsupportedImage or ImageTooLarge.
    """
    picture, convert = decode(read_header(data, limits), lambda _size: 1)
    return convert(picture)


def reduction(header: Header, side: int, enough: int) -> int:
    """Return by what factor, 1, 2, 4 or 8, decoding may reduce a picture so that a `side` of it keeps `enough` pixels.

    Reduces large JPEGs and giants of any format, a giant at least by half to save memory; others are decoded unchanged,
    to the last bit: see docs/decisions/0013-large-pictures.md.
    """
    times = max(times for times in (1, 2, 4, 8) if times <= max(side // enough, 1))
    if header.is_giant:
        return max(times, 2)
    return times if header.format == "JPEG" else 1


def decode(header: Header, times_of: Callable[[tuple[int, int]], int]) -> Decoded:
    """Decode a picture, reduced by 1, 2, 4 or 8, rounded up, as `times_of` returns for its upright width and height.

    The colours are those of its profile, since converting takes 20 ms a megapixel: convert after cropping or resizing.
    Raises InvalidImage, and what `times_of` raises.
    """
    picture, jpeg = header.picture, header.format == "JPEG"
    with _damage():
        if not jpeg:
            picture.load()  # before reading EXIF data: in a PNG it may follow the pixels
        orientation = _orientation(picture)
    width, height = picture.size
    times = times_of((height, width) if orientation in _TURNED else (width, height))
    with _damage():
        if jpeg and times > 1:
            picture.draft(None, (max(1, width // times), max(1, height // times)))
        picture.load()
        flat, convert = _rgb(header, 1 if jpeg else times)
        return Decoded(flat.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else flat, convert)


@contextmanager
def _damage() -> Iterator[None]:
    """Convert whatever Pillow raises to InvalidImage."""
    try:
        yield
    except Exception as error:  # Pillow's decoders raise many kinds of errors on damaged files
        raise InvalidImage(f"the picture is damaged or truncated: {error}") from error


def _orientation(picture: Image.Image) -> int | None:
    """Return the EXIF orientation; unreadable EXIF data is ignored, as in viewers."""
    try:
        return picture.getexif().get(_ORIENTATION_TAG)
    except Exception:  # EXIF data of any camera; the pixels are valid all the same
        return None


def _rgb(header: Header, times: int) -> Decoded:
    """Convert a loaded picture of any mode to RGB as viewers show it, reduced by `times`."""
    picture: Image.Image = header.picture
    if header.format == "BMP" and picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (0, 0):
        picture = _opaque(picture)
    colours = picture.mode if picture.mode in ("CMYK", "L") else "L" if picture.mode == "LA" else "RGB"
    convert = to_srgb(header.profile, colours)
    flat = _flat(picture, times, convert if colours == "CMYK" else None)
    if header.frame:
        flat = _on_white(flat, [side // times for side in header.frame])
    return Decoded(flat, unchanged if convert is None or colours == "CMYK" else convert)


def _flat(picture: Image.Image, times: int, from_cmyk: Convert | None) -> Image.Image:
    """Flatten any mode to RGB on white, reduced by `times`; block by block to bound memory."""
    if times == 1 and picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    flat = Image.new("RGB", (-(-picture.width // times), -(-picture.height // times)))
    rows = max(8, _BLOCK // min(picture.width, _WIDE) // 8 * 8)
    for top, left in product(range(0, picture.height, rows), range(0, picture.width, _WIDE)):
        box = left, top, min(left + _WIDE, picture.width), min(top + rows, picture.height)
        block = _block(picture.crop(box), from_cmyk)
        flat.paste(block.reduce(times) if times > 1 else block, (left // times, top // times))
    return flat


def _block(picture: Image.Image, from_cmyk: Convert | None) -> Image.Image:
    if picture.mode.startswith("I"):  # 16-bit grey
        grey = np.asarray(picture).astype(np.int64).clip(0, 65535)  # (H, W)
        eight = np.where(grey == picture.info.get("transparency"), 255, grey // 257)
        return Image.fromarray(eight.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return from_cmyk(picture) if from_cmyk else picture.convert("RGB")


def _opaque(picture: Image.Image) -> Image.Image:
    """Drop the alpha channel: writers of BMP alpha masks often leave it 0, and viewers then ignore it."""
    picture.putalpha(255)
    return picture


def _on_white(picture: Image.Image, box: Sequence[int]) -> Image.Image:
    """Fill everything outside of the box with white."""
    canvas = Image.new("RGB", picture.size, "white")
    left, top, right, bottom = box
    canvas.paste(picture.crop((left, top, right, bottom)), (left, top))
    return canvas


def unchanged(picture: Image.Image) -> Image.Image:
    """Return the picture, which is in sRGB already."""
    return picture


def to_srgb(profile: bytes, mode: str) -> Convert | None:
    """Return a function from pictures in a profile's colours to RGB in sRGB, for files of this mode.

    The mode is "RGB", "CMYK", or "L", for which the function takes a grey RGB picture.

    None if there is nothing to convert: no profile, an unreadable one, one for other modes, or sRGB.
    """
    if not profile:
        return None
    return _cached(profile, mode) if len(profile) <= _CACHED else _build(profile, mode)


def _build(profile: bytes, mode: str) -> Convert | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(_without_elements(profile)))
        if source.profile.xcolor_space.strip() != {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}[mode]:
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", renderingIntent=ImageCms.Intent.PERCEPTUAL
        )
        if mode != "CMYK" and _is_identity(transform, mode):
            return None
    except Exception:  # viewers ignore a broken profile, and LittleCMS has many errors for it
        return None

    def convert(picture: Image.Image) -> Image.Image:
        source = picture.getchannel(0) if mode == "L" else picture
        return ImageCms.applyTransform(source, transform) or picture

    return convert


_cached = lru_cache(32)(_build)


def _without_elements(profile: bytes) -> bytes:
    """A profile without the tags of multi-process elements, D2B0 to D2B3, which viewers of ICC.1:2004 pass over, too.

    They may name one element half a million times, and each is applied to all points of a table.
    """
    body = bytearray(profile)
    for at in range(132, 132 + 12 * min(int.from_bytes(body[128:132], "big"), _MAX_TAGS), 12):
        if body[at : at + 3] == b"D2B":
            body[at : at + 3] = b"d2b"
    return bytes(body)


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a cube of colours, 9 to a side, is left unchanged."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    probe = Image.fromarray(cube)
    if mode == "L":
        probe = probe.getchannel(0)
    after = ImageCms.applyTransform(probe, transform)
    expected = np.asarray(probe.convert("RGB"), np.int16)
    return bool(np.abs(np.asarray(after, np.int16) - expected).max() <= _SAME)
