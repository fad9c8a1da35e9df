"""Read barcodes in a picture: the retail codes EAN and UPC, and QR codes.

The narrowest bars need 1.5 to 2 pixels: an EAN-13, 95 of these wide, is read from about 190 pixels on.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from PIL import Image

from app.errors import InvalidRequest

BAR_SIDE = 2000  # pixels: geometric mean of width and height that is searched for bars; 0.3 s whatever it shows
ENOUGH_PIXELS = 2_500_000  # that decoding keeps for barcodes, if the picture has them
SQUARE_SIDE = 800  # pixels for QR codes: thousands of false corners take quadratic time, here 0.15 s
MOST = 20  # codes of one picture
MAX_TEXT = 500  # characters; longer codes, and those with control characters, are skipped
TURNS = (45, 22.5, 67.5)  # degrees; small bars are found within some 15 degrees of upright and of level, large ones 25
Format = Literal["ean_13", "ean_8", "upc_a", "upc_e", "qr_code"]
_FORMATS: dict[str, Format] = {
    "EAN13": "ean_13",
    "EAN8": "ean_8",
    "UPCA": "upc_a",
    "UPCE": "upc_e",
    "QRCode": "qr_code",
}

Size = tuple[int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Barcode:
    """A code's text, its format as named by browsers' BarcodeDetector, and its box in the upright picture.

    A UPC-A is read as the equivalent EAN-13, with a leading 0, and a UPC-E as the code that it abbreviates.
    """

    text: str
    format: Format
    box: tuple[int, int, int, int]


def reduction_for_barcodes(size: Size) -> int:
    """Return by what factor, 1, 2, 4 or 8, decoding may reduce a picture that keeps ENOUGH_PIXELS."""
    return max(times for times in (1, 2, 4, 8) if times == 1 or size[0] * size[1] >= ENOUGH_PIXELS * times**2)


def read_barcodes(grey: Image.Image, size: Size) -> list[Barcode]:
    """Read the codes of a picture, at most MOST, from top to bottom; `grey` shows the whole of it, `size` is its size.

    Raises InvalidRequest if the library that reads them is not installed.
    """
    try:
        import zxingcpp as zxing
    except ImportError as error:
        raise InvalidRequest("this service reads no barcodes: zxing-cpp is not installed") from error
    bars, squares = (zxing.BarcodeFormats([getattr(zxing.BarcodeFormat, name)]) for name in ("EANUPC", "QRCode"))
    grey = _reduced(grey, BAR_SIDE)
    found = _read(zxing, grey, bars, partial(_place, size=grey.size))
    for degrees in TURNS:
        if not found:
            turned = grey.rotate(degrees, Image.Resampling.BILINEAR, expand=True, fillcolor=255)
            place = partial(_turned_back, degrees=degrees, turned=turned.size, size=grey.size)
            found = _read(zxing, turned, bars, place)
    small = _reduced(grey, SQUARE_SIDE)
    found += _read(zxing, small, squares, partial(_place, size=small.size))
    codes = [Barcode(text, name, _box(corners, size)) for text, name, corners in found[:MOST]]
    return sorted(codes, key=lambda code: (code.box[1], code.box[0]))


def _reduced(picture: Image.Image, side: int) -> Image.Image:
    """Reduce the picture so that the geometric mean of width and height is at most `side`."""
    times = (picture.width + picture.height) / 2 / side
    if times <= 1:
        return picture
    width, height = (max(1, int(each / times)) for each in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def _read(
    zxing: Any, picture: Image.Image, formats: Any, place: Callable[[Point], Point]
) -> list[tuple[str, Format, list[Point]]]:
    """Read codes of some formats; returns text, format, and corners that `place` maps to shares of the picture."""
    found = zxing.read_barcodes(picture, formats=formats, text_mode=zxing.TextMode.Plain)
    codes = []
    for each in found:
        at = each.position
        corners = [place((each.x, each.y)) for each in (at.top_left, at.top_right, at.bottom_left, at.bottom_right)]
        if 0 < len(each.text) <= MAX_TEXT and each.text.isprintable():
            codes.append((each.text, _FORMATS[each.format.name], corners))
    return codes


def _place(point: Point, size: Size) -> Point:
    """Map a point of a picture to shares of its width and height."""
    return point[0] / size[0], point[1] / size[1]


def _turned_back(point: Point, degrees: float, turned: Size, size: Size) -> Point:
    """Map a point of a picture rotated about its centre back to shares of the original."""
    x, y = point[0] - turned[0] / 2, point[1] - turned[1] / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (x * cos - y * sin) / size[0] + 0.5, (x * sin + y * cos) / size[1] + 0.5


def _box(corners: Sequence[Point], size: Size) -> tuple[int, int, int, int]:
    """Return the box around corners, in whole pixels of a picture of this size; never empty."""
    (left, right), (top, bottom) = (
        (min(math.floor(min(shares) * side), side - 1), math.ceil(max(shares) * side))
        for shares, side in zip(zip(*corners, strict=True), size, strict=True)
    )
    left, top = max(left, 0), max(top, 0)
    return left, top, min(max(right, left + 1), size[0]), min(max(bottom, top + 1), size[1])
