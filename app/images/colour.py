"""Colours to sRGB by a picture's ICC profile, as viewers show them."""

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_CACHED = 64 * 1024  # bytes; RGB profiles of cameras and phones have 500 to 4,000, tables for printing a megabyte
_SAME = 2  # grey levels within which a profile is sRGB by another name

Convert = Callable[[Image.Image], Image.Image]


def unchanged(picture: Image.Image) -> Image.Image:
    """Convert what is in sRGB."""
    return picture


def to_srgb(profile: bytes, mode: str) -> Convert | None:
    """A function from pictures in the colours of a profile to RGB in sRGB, for files of this mode.

    The mode is "RGB", "CMYK", or "L", for which the function takes an RGB picture of greys.

    None where nothing is to be done: there is no profile, it cannot be read, it is for other modes, or it is sRGB.
    """
    if not profile:
        return None
    return _cached(profile, mode) if len(profile) <= _CACHED else _build(profile, mode)


def _build(profile: bytes, mode: str) -> Convert | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}[mode]:
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", renderingIntent=ImageCms.Intent.PERCEPTUAL
        )
        if mode != "CMYK" and _is_identity(transform, mode):
            return None
    except Exception:  # viewers ignore a broken profile, and LittleCMS finds a dozen ways to call it broken
        return None

    def convert(picture: Image.Image) -> Image.Image:
        source = picture.getchannel(0) if mode == "L" else picture
        return ImageCms.applyTransform(source, transform) or picture

    return convert


_cached = lru_cache(32)(_build)


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a cube of colours, 9 to a side, comes out as it goes in."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    probe = Image.fromarray(cube)
    if mode == "L":
        probe = probe.getchannel(0)
    after = ImageCms.applyTransform(probe, transform)
    expected = np.asarray(probe.convert("RGB"), np.int16)
    return bool(np.abs(np.asarray(after, np.int16) - expected).max() <= _SAME)
