"""Limits are enforced by the header alone."""

import base64
import struct
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.errors import ImageTooLarge, InvalidImage
from app.images.decode import open_picture
from app.images.header import ImageLimits, decode_base64, format_of, read_header
from app.images.structure import MAX_CHUNKS
from harness import hostile
from tests.fakes import as_bytes, picture
from tests.images import files
from tests.images.test_decode import bomb


@pytest.mark.parametrize(("width", "height"), [(9500, 9500), (14_000, 14_000), (300_000_000, 1)])
def test_limits_above_pillows_own_are_in_force(width, height):
    """Pillow refuses 179 megapixels, and warns from 89 on; the limit that was set is the one that counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_header(bomb(width, height), ImageLimits(max_pixels=300_000_000)).picture.size == (width, height)
        with pytest.raises(ImageTooLarge, match=f"{width} x {height} pixels; at most 50,000,000 in all are accepted$"):
            read_header(bomb(width, height), ImageLimits())


def test_a_picture_beyond_pillows_own_limit_is_decoded():
    """With a limit of 200 megapixels, a grey picture of 180 is decoded."""
    rows = [bytes(180_000_000)]
    data = files.png((180_000_000, 1), 8, 0, rows)
    assert open_picture(data, ImageLimits(max_pixels=200_000_000)).size == (180_000_000, 1)


def test_webp_is_limited_by_its_memory():
    """Its decoder takes three times as much memory per pixel as others, six times if lossless."""
    data = as_bytes(Image.new("RGB", (5000, 4000)), "WEBP", quality=0, method=0)
    with pytest.raises(ImageTooLarge, match="5000 x 4000 pixels; at most 16,666,666 in all are accepted of a WEBP"):
        read_header(data, ImageLimits())
    assert read_header(data, ImageLimits(max_pixels=60_000_000)).is_giant
    data = as_bytes(Image.new("RGB", (3000, 3000)), "WEBP", lossless=True, quality=0, method=0)
    with pytest.raises(ImageTooLarge, match="at most 8,333,333 in all are accepted of a lossless WEBP"):
        read_header(data, ImageLimits())


def test_a_lossless_webp_costs_its_groups_of_codes_too():
    """A plain one has a single group; a lossy one has none."""
    assert read_header(as_bytes(picture(size=(64, 30)), "WEBP"), ImageLimits()).cost == 2 * 64 * 30
    plain = Image.new("RGBA", (64, 30), (1, 2, 3, 100))
    assert read_header(as_bytes(plain, "WEBP", lossless=True), ImageLimits()).cost == 2 * 64 * 30 + 400


def test_the_chunks_of_a_webp_are_bounded():
    """Empty ones are counted, within an animation's frames too."""
    data = hostile.riff(*[(b"junk", b"")] * MAX_CHUNKS, hostile.vp8l(8, 8))
    with pytest.raises(ImageTooLarge, match="more than 50,000 chunks"):
        read_header(data, ImageLimits())


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff", 40),
        (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2\x4c\1\0;", 40),
    ],
    ids=["WebP", "GIF"],
)
def test_a_few_bytes_that_promise_gigapixels_are_refused(data, size):
    """They are rejected before any such allocation."""
    with pytest.raises(Exception, match="pixels|not a picture"):
        read_header(data, ImageLimits())


def test_cost_grows_with_pixels_and_scans():
    """A JPEG is cheap for its pixels, each further scan costs as much again, and a WebP is dear."""

    def cost(data):
        return read_header(data, ImageLimits()).cost

    size = (800, 600)
    assert cost(as_bytes(picture(size=size))) == 480_000
    assert cost(as_bytes(picture(size=size), "JPEG")) == 60_000
    assert cost(as_bytes(picture(size=size), "JPEG", progressive=True)) == 10 * 60_000
    assert cost(as_bytes(picture(size=size), "WEBP")) == 960_000


def test_formats_are_told_by_content():
    """Formats are detected by the first bytes, independent of Pillow."""
    for name in ImageLimits().formats:
        assert format_of(as_bytes(picture(), name), ImageLimits()) == name


def test_a_jpeg_of_several_pictures_is_its_first():
    """Phones append more pictures to a JPEG (MPO); a broken index of them does not matter."""
    first, second = picture("red", (40, 30)), picture("blue", (40, 30))
    data = as_bytes(first, "MPO", save_all=True, append_images=[second])
    assert open_picture(data, ImageLimits()).getpixel((5, 5)) == pytest.approx((254, 0, 0), abs=2)
    index = data.find(b"MPF\0")
    broken = data[: index + 4] + struct.pack("<4sI", b"II*\0", 2**31) + data[index + 12 :]
    assert open_picture(broken, ImageLimits()).size == (40, 30)


@given(st.binary(min_size=1, max_size=60), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 80))
def test_any_bytes_come_back_from_base64(data, url_safe, padded, prefixed, line_break):
    """Both alphabets work, with or without padding, line breaks and a `data:` prefix."""
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = text if padded else text.rstrip("=")
    text = text[:line_break] + "\r\n" + text[line_break:]
    assert decode_base64("data:image/png;base64," + text if prefixed else text) == data


@given(st.text("AQz09+/-_= !.é", max_size=12))
def test_any_other_text_is_no_picture(text):
    """Arbitrary bytes are decoded, or rejected as InvalidImage: nothing else is raised."""
    try:
        assert decode_base64(text)
    except InvalidImage as error:
        assert "base64" in str(error) or "empty" in str(error)
