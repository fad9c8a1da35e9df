"""Huffman code groups of a lossless WebP, counted without decoding it."""

import io

import numpy as np
import pytest
from PIL import Image

from app.errors import ImageTooLarge, InvalidImage, LarderError
from app.images.header import ImageLimits, read_header
from app.images.structure import webp_groups
from app.images.vp8l import groups_of_codes
from harness import hostile
from tests.fakes import as_bytes

SIDE = 96


def smooth(mode="RGB"):
    """A picture in which prediction, colours and codes differ by region."""
    down, right = np.mgrid[0:SIDE, 0:SIDE]
    noise = np.random.default_rng(0).integers(0, 40, (SIDE, SIDE)) * (right > SIDE // 2)
    bands = np.stack([down + noise, right * 2 % 256, (down * right) // 40 + noise, 255 - down], axis=-1)
    return Image.fromarray(bands.clip(0, 255).astype(np.uint8), "RGBA").convert(mode)


def encoded():
    """Return lossless pictures as libwebp writes them."""
    for method in (0, 2, 4, 6):
        for picture in (smooth(), smooth("RGBA"), smooth("L"), *(smooth().quantize(n) for n in (2, 4, 16, 200))):
            yield as_bytes(picture, "WEBP", lossless=True, method=method)
    yield as_bytes(smooth("RGBA"), "WEBP")  # its alpha channel is lossless


def bits(*numbers):
    """Bits of (value, how many), the lowest first."""
    return "".join(f"{value:0{count}b}"[::-1] for value, count in numbers)


ONE = bits((1, 1), (0, 1), (0, 1), (0, 1))  # a code of one symbol, 0
PLAIN = "0" + 5 * ONE  # a small picture without a cache whose pixels take no bit


@pytest.mark.parametrize(
    ("before", "groups"),
    [
        ("", 24 * 16),
        (bits((1, 1), (2, 2)), 24 * 16),  # green taken off
        (bits((1, 1), (0, 2), (0, 3)) + PLAIN + bits((1, 1), (1, 2), (7, 3)) + PLAIN, 24 * 16),  # prediction, colour
        (bits((1, 1), (3, 2), (3, 8)) + PLAIN, 6 * 16),  # a palette of four: four pixels in one
    ],
)
def test_the_groups_stand_behind_the_transforms(before, groups):
    """A block of 4 x 4 pixels has one; a narrow palette packs several pixels into one first."""
    stream = hostile.packed(before + "0" + "0" + bits((1, 1), (0, 3)))
    assert groups_of_codes(stream, 96, 64) == groups


def test_what_libwebp_writes_is_read():
    """It writes few groups, and several in a picture that has different parts."""
    found = [webp_groups(data) for data in encoded()]
    assert 1 <= min(found) < max(found) <= 2600


def test_damage_is_seen_no_earlier_than_by_the_decoder():
    """Pictures that Pillow decodes are not refused, whichever bits are flipped."""
    dice, sound, decoded = np.random.default_rng(0), list(encoded()), 0
    for number in range(400):
        changed = bytearray(sound[number % len(sound)])
        changed[int(dice.integers(20, min(len(changed), 300)))] ^= 1 << int(dice.integers(8))
        try:
            Image.open(io.BytesIO(changed)).load()
        except Exception:
            try:
                webp_groups(bytes(changed))
            except LarderError as error:
                assert str(error)
            continue
        decoded += 1
        assert webp_groups(bytes(changed)) >= 0
    assert 50 < decoded < 380


@pytest.mark.parametrize("data", [b"", b"\1", bytes([0b1111]) * 9, hostile.packed(2 * bits((1, 1), (2, 2)))])
def test_a_damaged_stream_is_no_picture(data):
    """A truncated stream, an invalid code and a repeated transform are errors."""
    with pytest.raises(InvalidImage, match="damaged"):
        groups_of_codes(data, 64, 64)


def test_what_stands_before_the_groups_is_bounded():
    """A picture of the blocks of another may be as large as that one divided by 16."""
    stream = hostile.packed(bits((1, 1), (0, 2), (0, 3)) + PLAIN)
    with pytest.raises(ImageTooLarge, match="more than 65,536 blocks"):
        groups_of_codes(stream, 2000, 2000)


@pytest.mark.parametrize(
    "made", [lambda *size: hostile.riff(hostile.vp8l(*size)), hostile.transparent, hostile.animated]
)
def test_too_many_groups_are_refused(made):
    """Each takes its decoder up to 7 KB: in the picture, in its alpha channel, and in a frame."""
    assert webp_groups(made(64, 30)) == 16 * 8
    with pytest.raises(ImageTooLarge, match="65,536 groups of codes; at most 8,192"):
        read_header(made(1024, 1024), ImageLimits())
    assert read_header(made(360, 360), ImageLimits()).cost == 2 * 360 * 360 + 400 * 90 * 90
