"""Antialiased resizing as in Pillow, with SIMD instructions if cykooz.resizer is installed.

That takes a quarter of Pillow's time. It has no wheel for Linux on ARM, where Pillow itself resizes. See
docs/decisions/0035-around-the-model.md.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from PIL import Image

try:
    import cykooz_resizer as cykooz
except ImportError:  # no wheel for this platform
    cykooz = None

PILLOW, CYKOOZ = "pillow", "cykooz.resizer"
LIBRARY = CYKOOZ if cykooz else PILLOW
"""The library in use."""

Resize = Callable[[Image.Image, tuple[int, int]], Image.Image]
"""Resizes an RGB picture to another width and height."""

_FILTERS = {  # Pillow's bicubic filter, with a = -0.5, is the Catmull-Rom spline
    "bicubic": (Image.Resampling.BICUBIC, "catmull_rom"),
    "bilinear": (Image.Resampling.BILINEAR, "bilinear"),
}


def resizer(interpolation: str, library: str = LIBRARY) -> Resize:
    """Return a thread-safe function that resizes RGB pictures.

    Raises ValueError for an unknown interpolation.
    """
    if interpolation not in _FILTERS:
        raise ValueError(f"interpolation {interpolation!r} was found; known are {', '.join(_FILTERS)}")
    resample, name = _FILTERS[interpolation]
    if library == PILLOW:
        return partial(_by_pillow, resample=resample)
    return partial(_by_cykooz, options=cykooz.ResizeOptions(cykooz.ResizeAlg.convolution(cykooz.FilterType[name])))


def _by_pillow(picture: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    return picture.resize(size, resample)


def _by_cykooz(picture: Image.Image, size: tuple[int, int], options: Any) -> Image.Image:
    """Resize one side after the other in Pillow's order, for its rounding and clipping between the two.

    Pillow resizes the width first, unless a tall picture is reduced; this is its choice if the aspect ratio is kept. In
    one call cykooz.resizer resizes the height first: 0.2 grey levels apart instead of 0.005.
    """
    height_first = picture.height > 2 * picture.width and size[1] < picture.height
    between = (picture.width, size[1]) if height_first else (size[0], picture.height)
    resize = cykooz.Resizer().resize_pil
    for sides in (between, size):
        resized = Image.new("RGB", sides)
        resize(picture, resized, options)
        picture = resized
    return picture
