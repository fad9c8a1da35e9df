"""The decoding cost of a file is bounded before the decoder starts."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.errors import ImageTooLarge, InvalidImage, LarderError, UnsupportedImage
from app.images.decode import open_picture
from app.images.header import ImageLimits, read_header
from app.images.structure import MAX_SCANS, jpeg_frame, png_essentials, webp_groups
from harness import hostile
from tests.fakes import as_bytes, picture
from tests.images import files

LIMITS = ImageLimits()
WEBP = b"RIFF\0\0\0\0WEBPVP8L\xff\xff\0\0\x2f\x3f\0\x0f\0"  # and a lossless picture of 64 x 61


def opened(data):
    return np.asarray(open_picture(data, LIMITS), int)


@pytest.mark.parametrize("side", [100, 1000, 4000])
def test_a_repeated_scan_is_refused_before_decoding(side):
    """A progressive JPEG of a hundred scans is rejected by its structure, at any size."""
    with pytest.raises(ImageTooLarge, match=f"more than {MAX_SCANS} scans"):
        read_header(files.scans(side, 100), LIMITS)
    read_header(files.scans(side, 20), LIMITS)


@pytest.mark.parametrize(
    "hide",
    [
        lambda segment: b"\xff\xfe\0\4\xff\xd9" + segment,  # an end of the picture within a comment
        lambda segment: b"\xff\xff\xff" + segment,  # fill bytes
        lambda segment: b"\xff\xd0\0\0" + segment,  # a restart and stray bytes
        lambda segment: b"\xff\xd8" + segment,  # another start
    ],
)
def test_scans_cannot_be_hidden(hide):
    """Ends within segments, fill bytes, restarts and stray bytes do not keep a scan from being counted."""
    data = as_bytes(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    scan = data.rfind(b"\xff\xda")
    hidden = data[:scan] + b"".join([hide(data[scan:-2])] * 60) + data[-2:]
    with pytest.raises(ImageTooLarge, match="scans"):
        jpeg_frame(hidden)


@pytest.mark.parametrize("reserved", [0x01, 0x02, 0x7F, 0xBF])
def test_scans_behind_a_reserved_marker_are_counted(reserved):
    """At a restart libjpeg discards only the marker, so the scans behind it are counted."""
    data = files.scans(64, 0)
    scan = data.rfind(b"\xff\xda")
    restarts = data[:scan] + b"\xff\xdd\0\4\0\1"
    hidden = restarts + data[scan : scan + 11] + bytes([0xFF, reserved, 0xFE, 0xFE]) + data[scan:-2] * 60 + data[-2:]
    Image.open(io.BytesIO(hidden)).load()  # it is a picture to the decoder
    with pytest.raises(ImageTooLarge, match="scans"):
        jpeg_frame(hidden)


@pytest.mark.parametrize(
    "more", [{}, {"progressive": True}, {"progressive": True, "optimize": True}, {"subsampling": 0}]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_what_encoders_write_passes(mode, more):
    """Baseline and progressive JPEGs have far fewer scans than the limit."""
    data = as_bytes(picture(size=(300, 200)).convert(mode), "JPEG", **more)
    scans, components = jpeg_frame(data)
    assert 1 <= scans <= 20
    assert components == len(Image.new(mode, (1, 1)).getbands())
    assert opened(data).shape == (200, 300, 3)


def test_a_thumbnail_within_the_exif_data_is_no_scan():
    """Markers inside of segments are not counted."""
    small = as_bytes(picture(), "JPEG")
    data = as_bytes(picture(), "JPEG", comment=small * 50)
    assert jpeg_frame(data)[0] == 1


@pytest.mark.parametrize(
    ("frame", "bits", "name"),
    [
        (0xC1, 12, "12 bits"),
        (0xC0, 12, "12 bits"),
        (0xC3, 8, "lossless"),
        (0xC3, 16, "lossless"),
        (0xCA, 8, "progressive arithmetic"),
        (0xCB, 8, "lossless arithmetic"),
        (0xC5, 8, "hierarchical"),
        (0xCE, 8, "hierarchical"),
    ],
)
def test_a_kind_of_jpeg_that_is_not_decoded_is_named(frame, bits, name):
    """The picture may be whole: the error says that its kind is not accepted, not that it is damaged."""
    data = bytearray(as_bytes(picture(), "JPEG"))
    place = data.find(b"\xff\xc0")
    data[place + 1], data[place + 4] = frame, bits
    with pytest.raises(UnsupportedImage, match=name):
        read_header(bytes(data), LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xe5\0\2" * 100_000,
        b"\xff\xd8" + b"\xff\xfe\0\2" * 100_000,
        b"\xff\xd8" + b"\xff\xdb\0\2" * 100_000,
        b"\xff\xd8\xff\xe0\0\2" + b"\0" * 100_000 + b"\xff\xda",
        b"\xff\xd8\xff\xe0\0\2" + b"\xff" * 100_000 + b"\xda",
    ],
    ids=["empty segments", "empty comments", "empty tables", "stray bytes", "fill bytes"],
)
def test_a_jpeg_of_countless_pieces_is_refused(data):
    """Pillow reads each piece, and each stray byte, in Python: millions would take many seconds."""
    with pytest.raises((ImageTooLarge, InvalidImage)):
        jpeg_frame(data)


def test_a_png_of_countless_chunks_is_refused():
    """Eight hundred thousand empty chunks are 10 MB, and ten seconds of Pillow."""
    data = as_bytes(picture())
    with pytest.raises(ImageTooLarge, match="chunks"):
        read_header(data[:33] + files.chunk(b"abCd", b"") * 60_000 + data[33:], LIMITS)


@pytest.mark.parametrize("sub_blocks", [b"\1a" * 100_000, b""])
def test_a_gif_of_countless_blocks_is_refused(sub_blocks):
    """One comment of a hundred thousand pieces, or as many empty extensions, before the first frame."""
    data = as_bytes(picture(), "GIF")
    frame = data.index(b",", 13)
    padding = b"\x21\xfe" + sub_blocks + b"\0" if sub_blocks else b"\x21\xf9\0" * 100_000
    with pytest.raises(InvalidImage, match="blocks before its first frame"):
        read_header(data[:frame] + padding + data[frame:], LIMITS)


def test_a_gif_frame_larger_than_its_canvas_counts():
    """Pillow fills a frame that is disposed of while it reads the header: its size is judged before."""
    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + b"\0\0\0\1\1\1" + b"\x21\xf9\4\x08\0\0\0\0"
    data = head + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\2\2\x4c\1\0;"
    with pytest.raises(ImageTooLarge, match="65535 x 65535"):
        read_header(data, LIMITS)


def test_run_length_encoding_has_a_limit_of_its_own():
    """Pillow decodes a run-length encoded BMP in Python, pixel by pixel."""
    data = bytearray(as_bytes(Image.new("L", (8, 8)), "BMP"))
    data[18:26], data[30:34] = struct.pack("<ii", 7000, 7000), struct.pack("<I", 2)
    with pytest.raises(ImageTooLarge, match="run-length encoded BMP"):
        read_header(bytes(data), LIMITS)


BIG = os.urandom(1_500_000)
TEXTS = {
    "zTXt": (b"zTXt", b"note\0\0" + zlib.compress(BIG)),
    "iTXt": (b"iTXt", b"note\0\1\0\0\0" + zlib.compress(BIG)),
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"x" * 2_000_000),
    "tEXt": (b"tEXt", b"note\0" + b"x" * 1_500_000),
    "bomb": (b"zTXt", b"note\0\0" + zlib.compress(bytes(50_000_000), 9)),
    "profile": (b"iCCP", b"note\0\0" + zlib.compress(BIG)),
    "profile bomb": (b"iCCP", b"note\0\0" + zlib.compress(bytes(50_000_000), 9)),
    "broken profile": (b"iCCP", b"note\0\0" + b"no zlib"),
    "profile without an end": (b"iCCP", b"x" * 100),
    "unknown": (b"abCd", BIG),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", TEXTS)
def test_large_texts_and_profiles_do_not_lose_the_picture(name, after):
    """Megabytes of what does not show, before the pixels or after them, and the picture is the same."""
    data = as_bytes(picture("green"))
    place = len(data) - 12 if after else 33
    assert (opened(data[:place] + files.chunk(*TEXTS[name]) + data[place:]) == opened(data)).all()


def test_exif_behind_the_pixels_turns_the_picture():
    """A PNG may have its orientation at its end."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = as_bytes(picture(size=(30, 20)))
    late = data[:-12] + files.chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + data[-12:]
    assert opened(late).shape == (30, 20, 3)


@pytest.mark.parametrize(
    ("depth", "colour", "rows", "key", "expected"),
    [
        (16, 0, [struct.pack(">3H", 0, 1000, 65535)], struct.pack(">H", 1000), [0, 255, 255]),
        (8, 0, [bytes([0, 3, 7])], struct.pack(">H", 3), [0, 255, 7]),
        (4, 0, [bytes([0x03, 0x70])], struct.pack(">H", 3), [0, 255, 119]),
        (2, 0, [bytes([0b00_01_10_00])], struct.pack(">H", 1), [0, 255, 170]),
        (1, 0, [bytes([0b01000000])], struct.pack(">H", 0), [255, 255, 255]),
    ],
)
def test_the_transparent_grey_of_a_png_is_white(depth, colour, rows, key, expected):
    """This holds at every depth, including 16 bits."""
    data = files.png((3, 1), depth, colour, rows, before=[(b"tRNS", key)])
    assert opened(data)[0, :, 0].tolist() == expected


def test_the_transparent_colour_of_a_png_is_white():
    """This holds for 8 and for 16 bits per channel."""
    eight = files.png((2, 1), 8, 2, [bytes([1, 2, 3, 4, 5, 6])], before=[(b"tRNS", struct.pack(">3H", 1, 2, 3))])
    assert opened(eight)[0].tolist() == [[255] * 3, [4, 5, 6]]
    row = struct.pack(">6H", 1000, 2000, 3000, 65535, 0, 0)
    sixteen = files.png((2, 1), 16, 2, [row], before=[(b"tRNS", struct.pack(">3H", 1000, 2000, 3000))])
    assert opened(sixteen)[0].tolist() == [[255] * 3, [255, 0, 0]]


@pytest.mark.parametrize("key", [b"", b"\1", b"\1\2\3", b"\1" * 300])
def test_a_transparent_colour_of_the_wrong_length_is_no_crash(key):
    """The result is a picture or one of our errors."""
    for depth, colour, row in ((4, 0, b"\0\0"), (16, 2, bytes(18)), (16, 0, bytes(6))):
        try:
            opened(files.png((3, 1), depth, colour, [row], before=[(b"tRNS", key)]))
        except LarderError as error:
            assert isinstance(error, InvalidImage)


@given(st.binary(max_size=400))
def test_any_bytes_are_walked_without_a_crash(data):
    """Arbitrary bytes may follow a valid beginning."""
    for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM\0\0\0\0", b"RIFF\0\0\0\0WEBP", WEBP):
        try:
            read_header(start + data, LIMITS)
        except LarderError as error:
            assert str(error)


def test_a_cut_png_keeps_its_end():
    """The data after the last complete chunk goes to the decoder, which reports the truncation."""
    data = as_bytes(picture())
    assert png_essentials(data[:-20])[0] == data[:-20]


@pytest.mark.parametrize(
    "hidden",
    [
        b"\xff\xd8" * 100_000,
        b"\xff\xc8\xff\xff" + b"\xff" * 200_000,
        b"\xff\xf0\xff\xff" + b"\xd0" * 200_000,
    ],
    ids=["starts", "an extension", "a reserved marker"],
)
def test_what_pillow_walks_byte_by_byte_is_bounded(hidden):
    """Starts, and markers that Pillow does not know to have a length, count as stray bytes."""
    data = as_bytes(Image.new("RGB", (8, 8)), "JPEG")
    jpeg_frame(data[:2] + hidden[:1000] + data[2:])
    with pytest.raises(InvalidImage, match="stray bytes"):
        jpeg_frame(data[:2] + hidden + data[2:])


@pytest.mark.parametrize("before", [b"\xff\xd9", b""], ids=["behind its end", "at all"])
def test_a_jpeg_without_a_scan_is_no_picture(before):
    """Megabytes of stray bytes are not searched for a scan."""
    with pytest.raises(InvalidImage, match="no scan"):
        jpeg_frame(b"\xff\xd8\xff\xe0\0\2" + before + b"\xd0" * 1_000_000)


def test_a_webp_has_one_picture():
    """Each lossless picture and alpha channel is read past in Python; those of further frames are not."""
    picture = hostile.vp8l(64, 30)
    assert webp_groups(hostile.riff(picture))
    with pytest.raises(InvalidImage, match="several lossless"):
        webp_groups(hostile.riff(picture, picture))
