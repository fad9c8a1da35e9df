"""Boxes drawn on a picture."""

import numpy as np
import pytest
from PIL import Image

from app.ui.picking import LARGEST, Picked
from app.ui.screens.recognise import boxed
from tests.fakes import as_bytes, picture


def changed(image: Image.Image, colour: str) -> tuple[int, int, int, int] | None:
    """Return the part of a one-coloured picture that was drawn on: left, top, right, bottom."""
    plain = np.asarray(Image.new("RGB", image.size, colour), np.int32)
    rows, columns = np.nonzero(np.abs(np.asarray(image.convert("RGB"), np.int32) - plain).max(axis=2) > 40)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else None


def test_a_box_is_where_the_service_says():
    """Coordinates are in pixels of the picture."""
    red = Picked("red", as_bytes(picture("red", (400, 300))))
    assert changed(boxed(red, [(50, 20, 250, 220)]), "red") == (50, 20, 250, 220)
    assert changed(boxed(red, []), "red") is None


def test_a_large_upright_photo_keeps_its_boxes():
    """The picture shown is smaller than the file and rotated; the box is too."""
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn: upright it is 1500 wide and 2000 high
    photo = Picked("photo", as_bytes(picture("red", (2000, 1500)), "JPEG", exif=exif))
    image = boxed(photo, [(0, 1000, 1500, 2000)])
    assert image.size == (LARGEST * 3 // 4, LARGEST)
    assert changed(image, "red") == (0, LARGEST // 2, LARGEST * 3 // 4, LARGEST)


@pytest.mark.parametrize("size", [(1, 1), (19, 19), (3, 400), (400, 300)])
@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0, 0, 3, 2)])
def test_a_tiny_picture_or_box_is_drawn(size, box):
    """A picture or a box of a few pixels has its number like any other."""
    assert boxed(Picked("tiny", as_bytes(picture("red", size))), [box]).size == size
