"""Pictures selected by a user, as the page shows them."""

import numpy as np
import pytest
from larder_client.pictures import open_file
from PIL import Image

from app.ui.picking import KINDS, LARGEST, Picked, preview
from tests.exif import ODD_TAGS, with_exif
from tests.fakes import as_bytes, picture


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("tag", ODD_TAGS)
def test_a_photo_is_shown_upright(tag):
    """The orientation is applied even with odd EXIF tags."""
    image = picture("red", (2000, 1000))
    image.paste((0, 0, 255), (0, 0, 1000, 1000))  # upright, after a quarter turn, the left half is the upper one
    shown, share = preview(Picked("photo", with_exif(as_bytes(image, "JPEG"), ODD_TAGS[tag])))
    assert (shown.size, share) == ((LARGEST // 2, LARGEST), LARGEST / 2000)
    assert shown.getpixel((200, 10))[2] > 200


@pytest.mark.parametrize(("value", "grey"), [(0, 0), (257 * 100, 100), (65535, 255)])
def test_sixteen_bits_of_grey_keep_their_grey(value, grey):
    """A 16-bit PNG is shown in its own grey, not white."""
    data = as_bytes(Image.fromarray(np.full((30, 40), value, np.uint16)))
    assert preview(Picked("grey", data))[0].getpixel((5, 5)) == (grey, grey, grey, 255)


@pytest.mark.parametrize("ending", KINDS)
def test_every_ending_is_one_of_a_format_that_is_shown(ending):
    """Each ending that the page accepts names a format that Pillow opens or that is a known other name of one."""
    open_file(as_bytes(Image.new("RGB", (8, 8)), "HEIC"))  # which adds its endings
    known = {extension.removeprefix(".") for extension in Image.registered_extensions()}
    assert ending in known | {"pjpeg", "pjp"}  # older names of JPEG


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_photographs_of_phones_are_shown(kind):
    """Formats of phones are shown like any other picture."""
    data = as_bytes(Image.new("RGB", (40, 30), (200, 10, 10)), kind)
    red, green, blue, alpha = preview(Picked("photo", data))[0].getpixel((5, 5))
    assert (red > 180, green < 30, blue < 30, alpha) == (True, True, True, 255)


def test_a_transparent_picture_stays_transparent():
    """Transparency is left to the page's background."""
    for data in (
        as_bytes(Image.new("RGBA", (40, 30), (200, 10, 10, 0))),
        as_bytes(Image.new("RGB", (40, 30), (200, 10, 10)), transparency=(200, 10, 10)),
    ):
        assert preview(Picked("clear", data))[0].getpixel((5, 5))[3] == 0
