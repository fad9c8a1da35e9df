"""Barcodes on drawn packages: turned, blurred, small and several at once."""

import io

import numpy as np
import pytest
import zxingcpp
from PIL import Image, ImageFilter

from app.errors import InvalidRequest
from app.images.barcodes import (
    BAR_SIDE,
    ENOUGH_PIXELS,
    MOST,
    SQUARE_SIDE,
    TURNS,
    Barcode,
    read_barcodes,
    reduction_for_barcodes,
)
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from harness.packages import OATS, RICE, package, symbol
from tests.fakes import FORM


def read(picture: Image.Image) -> list[Barcode]:
    return read_barcodes(picture.convert("L"), picture.size)


def texts(picture: Image.Image) -> list[str]:
    return [code.text for code in read(picture)]


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        ("EAN13", "4006381333931", ("4006381333931", "ean_13")),
        ("EAN8", "96385074", ("96385074", "ean_8")),
        ("UPCA", "036000291452", ("0036000291452", "ean_13")),
        ("UPCE", "01234565", ("0012345000065", "upc_e")),
        ("QRCode", "https://example.org/x?y=1", ("https://example.org/x?y=1", "qr_code")),
    ],
)
def test_each_format_is_read(kind, written, expected):
    """UPC codes are read as the equivalent EAN-13."""
    (code,) = read(package(symbol(written, kind)))
    assert (code.text, code.format) == expected


@pytest.mark.parametrize("degrees", [*range(0, 360, 15), 44, 46, 137])
def test_turned_codes_are_read(degrees):
    """A code is read at any angle, and its box surrounds the rotated code."""
    (code,) = read(package(symbol(RICE), turned=degrees))
    assert code.text == RICE
    plain = symbol(RICE)
    reach = (plain.width + plain.height) / 2
    left, top, right, bottom = code.box
    assert abs((left + right) / 2 - 400) < 20
    assert abs((top + bottom) / 2 - 400) < plain.height / 3
    assert plain.width / 2 < max(right - left, bottom - top) < 2 * reach


@pytest.mark.parametrize("degrees", [20, 30, 110])
def test_small_turned_codes_are_read(degrees):
    """Rotated codes with bars of three pixels, slightly out of focus, are read."""
    large = package(symbol(RICE, scale=9), side=2400, turned=degrees)
    small = large.resize((800, 800), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.5))
    assert texts(small) == [RICE]


@pytest.mark.parametrize("blur", [0, 0.5, 1, 1.5])
def test_blurred_codes_are_read(blur):
    """Bars of two to three pixels are read with a blur of up to half of that."""
    blurred = package(symbol(RICE, scale=3)).filter(ImageFilter.GaussianBlur(blur))
    assert texts(blurred) == [RICE]


def test_small_codes_are_read():
    """Two pixels for each of the 95 modules are enough: a tenth of a photo's width."""
    large = package(symbol(RICE, scale=8), side=3600)
    assert texts(large.resize((900, 900), Image.Resampling.LANCZOS)) == [RICE]


def test_several_codes_are_read_at_once():
    """Codes of several formats are returned from top to bottom, each with its box."""
    picture = Image.new("RGB", (900, 900), (120, 160, 90))
    for written, kind, place in (
        (RICE, "EAN13", (50, 40)),
        ("larder:oats", "QRCode", (600, 300)),
        (OATS, "EAN13", (80, 600)),
    ):
        picture.paste(symbol(written, kind), place)
    found = read(picture)
    assert [code.text for code in found] == [RICE, "larder:oats", OATS]
    for code, (left, top) in zip(found, ((50, 40), (600, 300), (80, 600)), strict=True):
        assert left <= code.box[0] < code.box[2] <= left + 340
        assert top <= code.box[1] < code.box[3] <= top + 240


def test_a_picture_without_codes_has_none():
    """Noise and stripes are not barcodes either."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 700), np.uint8)
    stripes = np.tile(np.random.default_rng(1).integers(0, 2, 700, np.uint8) * 255, (700, 1))
    for pixels in (noise, stripes, np.full((1, 1), 255, np.uint8), np.zeros((3, 2000), np.uint8)):
        assert texts(Image.fromarray(pixels)) == []


def test_a_picture_has_only_so_many_codes():
    """Further codes are dropped."""
    picture = Image.new("L", (1000, 1000), 255)
    for number in range(36):
        picture.paste(symbol(f"code {number}", "QRCode", scale=3), (160 * (number % 6), 160 * (number // 6)))
    assert len(texts(picture)) == MOST


def test_codes_that_are_no_text_are_passed_over():
    """Codes with control characters or too long texts are skipped."""
    assert texts(package(symbol("a\x07b", "QRCode"))) == []
    assert texts(package(symbol("x" * 501, "QRCode"))) == []
    assert texts(package(symbol("x" * 500, "QRCode"))) == ["x" * 500]


@pytest.mark.parametrize(("size", "times"), [((1, 1), 1), ((3000, 3000), 1), ((4000, 3000), 2), ((8000, 6000), 4)])
def test_a_picture_is_decoded_large_enough(size, times):
    """It keeps ENOUGH_PIXELS if it has them, and every giant is reduced."""
    assert reduction_for_barcodes(size) == times
    assert size[0] * size[1] / times**2 >= min(ENOUGH_PIXELS, size[0] * size[1])
    assert reduction_for_barcodes((4000, ImageLimits().giant // 4000)) == 2


@pytest.mark.parametrize(("side", "kind", "orientation"), [(3600, "JPEG", 1), (3600, "JPEG", 6), (2500, "PNG", 1)])
def test_a_large_photo_keeps_its_codes(side, kind, orientation):
    """A photo of 13 megapixels is decoded eight times smaller for the model alone; with its barcodes two times.

    The box is in pixels of the upright picture.
    """
    picture = package(symbol(RICE, scale=4), side=side, at=(side // 4, side // 2))
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    if orientation == 6:
        picture = picture.transpose(Image.Transpose.ROTATE_90)  # what a camera held upright stores
    picture.save(file, kind, exif=exif)
    preparer = Preparer(FORM, ImageLimits())
    pixels, grey, size = preparer.pixels_and_grey(file.getvalue())
    assert size == (side, side)
    assert np.abs(pixels - preparer.pixels(file.getvalue())).max() < 0.05
    (code,) = read_barcodes(grey, size)
    assert code.text == RICE
    left, top, right, bottom = code.box
    assert abs((left + right) / 2 - side / 4) < 30
    assert abs((top + bottom) / 2 - side / 2) < 100


def test_where_the_library_is_missing_it_is_said(monkeypatch):
    """Recognition without barcodes works without the library."""
    monkeypatch.setitem(__import__("sys").modules, "zxingcpp", None)
    with pytest.raises(InvalidRequest, match="zxing-cpp is not installed"):
        read(Image.new("L", (10, 10)))


@pytest.mark.parametrize("size", [(7000, 7000), (1, 16_000_000), (60_000, 100)])
def test_hostile_pictures_are_searched_within_bounds(monkeypatch, size):
    """For pictures of any size and shape, the library never sees more pixels than the bounds allow."""
    seen = []

    def look(picture, **options):
        seen.append(picture.width * picture.height)
        return reader(picture, **options)

    reader = zxingcpp.read_barcodes
    monkeypatch.setattr(zxingcpp, "read_barcodes", look)
    assert read(Image.new("L", size, 255)) == []
    bars, *turned, squares = seen
    assert bars <= BAR_SIDE**2
    assert len(turned) == len(TURNS)
    assert max(turned) <= 2.1 * BAR_SIDE**2  # half of it is blank
    assert squares <= SQUARE_SIDE**2
