"""Untrusted pictures become upright RGB, or a clear error."""

import base64
import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from app.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.images.decode import decode, open_picture, reduction
from app.images.header import ImageLimits, decode_base64, read_header
from harness import hostile
from tests.fakes import as_bytes, picture
from tests.images import files

LIMITS = ImageLimits()


def gradient(width: int = 40, height: int = 30) -> Image.Image:
    """A picture in which every corner differs from the others."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, (x + y) * 2], axis=-1).astype(np.uint8))


def opened(data: bytes, limits: ImageLimits = LIMITS) -> np.ndarray:
    return np.asarray(open_picture(data, limits)).astype(int)


def shrunk(data: bytes, enough: int, limits: ImageLimits = LIMITS) -> Image.Image:
    """The picture, reduced as far as its shorter side keeps `enough` pixels."""
    header = read_header(data, limits)
    return decode(header, lambda size: reduction(header, min(size), enough)).picture


def apart(one: np.ndarray, other: np.ndarray) -> int:
    """Return the largest difference in grey levels."""
    assert one.shape == other.shape
    return int(abs(one - other).max())


@pytest.mark.parametrize(
    "form",
    [
        lambda text: text,
        lambda text: "data:image/png;base64," + text,
        lambda text: "DATA:image/png;charset=utf-8;BASE64," + text,
        lambda text: text.rstrip("="),
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76)),
    ],
    ids=["plain", "data URI", "data URI with parameters", "unpadded", "URL-safe", "MIME lines"],
)
def test_base64_comes_in_many_forms(form):
    """Plain, data URI, unpadded, URL-safe and line-broken base64 give the same bytes."""
    data = bytes(range(256)) * 3
    assert decode_base64(form(base64.b64encode(data).decode())) == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data:image/png;base64,",
        "====",
        "abc!",
        "a b c d",
        "héllo===",
        "QUJ=D",
        "A",
        "+/-_",
        "aGk=aGk=",
        "\ud800abc",
    ],
)
def test_what_is_not_base64_is_refused(text):
    """Stray characters, spaces, padding in the middle, mixed alphabets and emptiness are refused."""
    with pytest.raises(InvalidImage, match="the picture"):
        decode_base64(text)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    """A picture with any orientation is decoded upright."""
    upright = gradient()
    stored = {
        1: lambda im: im,
        2: lambda im: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda im: im.transpose(Image.Transpose.ROTATE_180),
        4: lambda im: im.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda im: im.transpose(Image.Transpose.TRANSPOSE),
        6: lambda im: im.transpose(Image.Transpose.ROTATE_90),
        7: lambda im: im.transpose(Image.Transpose.TRANSVERSE),
        8: lambda im: im.transpose(Image.Transpose.ROTATE_270),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert apart(opened(as_bytes(stored, exif=exif)), np.asarray(upright).astype(int)) == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\0" * 40])
def test_unreadable_exif_is_ignored(exif):
    """A camera's broken EXIF block does not lose the picture."""
    assert opened(as_bytes(gradient(), "JPEG", exif=exif)).shape == (30, 40, 3)


def test_transparency_is_flattened_on_white():
    """Half-transparent red becomes pink, and fully transparent pixels of any colour become white."""
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 128))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert apart(opened(as_bytes(image)), np.array([[[255, 127, 127], [255, 255, 255]]])) <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_transparent_palettes_and_greys_are_flattened_too(kind):
    """A palette's transparent entry is white in PNG, GIF and WebP."""
    image = Image.new("RGBA", (8, 8), (0, 128, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    data = as_bytes(
        image.convert("P") if kind != "WEBP" else image, kind, **({"lossless": True} if kind == "WEBP" else {})
    )
    shown = Image.new("RGBA", (8, 8), "white")
    import io

    shown.alpha_composite(Image.open(io.BytesIO(data)).convert("RGBA"))
    pixels = opened(data)
    assert apart(pixels, np.asarray(shown.convert("RGB")).astype(int)) <= 2
    assert apart(pixels[:, 4:], np.full((8, 4, 3), (0, 128, 0))) <= 2


MODES = {  # what each format can hold
    "PNG": ["L", "LA", "P", "1", "RGBA", "I;16"],
    "JPEG": ["L", "1", "CMYK"],
    "GIF": ["L", "LA", "P", "1", "RGBA", "I;16"],
    "WEBP": ["L", "LA", "P", "1", "CMYK", "RGBA", "I;16"],
    "BMP": ["L", "P", "1", "RGBA"],
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_every_mode_comes_out_as_pillow_shows_it(kind, mode):
    """Grey, palette, two-tone, CMYK and 16-bit pictures are within 2 grey levels of Pillow's own rendering."""
    import io

    if mode == "I;16":
        grey = np.asarray(gradient().convert("L")).astype(np.uint16) * 257
        image = Image.fromarray(grey)
    else:
        image = gradient().convert(mode)
    data = as_bytes(image, kind)
    reference = Image.open(io.BytesIO(data))
    if reference.mode.startswith("I"):
        reference = Image.fromarray((np.asarray(reference).astype(np.uint32) >> 8).astype(np.uint8))
    white = Image.new("RGBA", reference.size, "white")
    white.alpha_composite(reference.convert("RGBA"))
    assert apart(opened(data), np.asarray(white.convert("RGB")).astype(int)) <= 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(kind):
    """An animated picture is decoded to its first frame."""
    data = as_bytes(picture("red"), kind, save_all=True, append_images=[picture("blue")], duration=100)
    assert apart(opened(data), np.full((24, 32, 3), (255, 0, 0))) <= 2


def test_a_truncated_picture_is_refused_wherever_it_ends():
    """Cut anywhere before its last pixel, a JPEG or a PNG is an error, never a half-grey picture."""
    for data, trailer in ((as_bytes(gradient(), "JPEG"), 2), (as_bytes(gradient()), 20)):
        for end in range(len(data) - trailer):
            with pytest.raises(InvalidImage):
                open_picture(data[:end], LIMITS)


def test_bit_flips_never_raise_anything_else():
    """Damage of any kind gives a picture or one of our three errors."""
    rng = np.random.default_rng(0)
    for kind in LIMITS.formats:
        data = as_bytes(gradient(), kind)
        for _ in range(60):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), 5):
                broken[place] ^= 1 << int(rng.integers(8))
            with suppress(InvalidImage, UnsupportedImage, ImageTooLarge):
                assert open_picture(bytes(broken), LIMITS).mode == "RGB"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (as_bytes(Image.new("RGB", (4, 4)), "TIFF"), "TIFF"),
        (as_bytes(Image.new("RGB", (16, 16)), "ICO"), "ICO"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    ],
)
def test_other_formats_are_named(data, name):
    """A format that is not accepted is named in the error, with the accepted ones."""
    with pytest.raises(UnsupportedImage, match=f"{name} pictures are not accepted.*JPEG, PNG"):
        open_picture(data, LIMITS)


def test_a_format_can_be_switched_off():
    """Formats excluded by the settings are rejected."""
    with pytest.raises(UnsupportedImage, match="PNG"):
        open_picture(as_bytes(picture()), ImageLimits(formats=("JPEG",)))


@pytest.mark.parametrize("data", [b"", b"\0", b"hello world" * 50, b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data):
    """Text, emptiness and bare headers are not pictures."""
    with pytest.raises(InvalidImage):
        open_picture(data, LIMITS)


def test_too_many_bytes_are_refused():
    """The file size is limited."""
    with pytest.raises(ImageTooLarge, match="at most 10 are"):
        open_picture(b"x" * 11, ImageLimits(max_bytes=10))


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises many pixels and whose data has none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [7_100, 12_000, 40_000])
def test_too_many_pixels_are_refused_by_the_header(side):
    """A picture of more than 50 megapixels is refused before a pixel is decoded."""
    with pytest.raises(ImageTooLarge, match="pixels"):
        open_picture(bomb(side, side), LIMITS)


def test_the_pixel_limit_itself_is_allowed():
    """The limit is inclusive."""
    assert opened(as_bytes(picture(size=(20, 10))), ImageLimits(max_pixels=200)).shape == (10, 20, 3)
    with pytest.raises(ImageTooLarge):
        open_picture(as_bytes(picture(size=(20, 10))), ImageLimits(max_pixels=199))


def test_whatever_is_sent_becomes_a_picture_or_our_error():
    """Files cut at every kilobyte, with turned bits or lying headers: nothing else is raised, at any size."""
    kinds = 0
    for name, data in hostile.pictures():
        kinds += 1
        for enough in (None, 16):
            try:
                limits = ImageLimits(max_pixels=2_000_000)
                picture = shrunk(data, enough, limits) if enough else open_picture(data, limits)
            except (InvalidImage, ImageTooLarge, UnsupportedImage):
                continue
            assert picture.mode == "RGB", name
    assert kinds > 300


def test_a_large_jpeg_may_come_out_smaller_but_not_below_what_is_enough():
    """Half, a quarter or an eighth as large; turned and of any mode like the full one; other formats never."""
    image = gradient(640, 480)
    for mode in ("RGB", "L", "CMYK"):
        data = as_bytes(image.convert(mode), "JPEG", quality=95)
        full, small = open_picture(data, LIMITS), shrunk(data, 100)
        assert small.size == (160, 120)
        assert abs(np.asarray(full.reduce(4)).astype(int) - np.asarray(small)).mean() < 2
        assert shrunk(data, 241).size == (640, 480)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = as_bytes(image, "JPEG", exif=exif)
    assert shrunk(turned, 100).size == (120, 160)
    assert shrunk(as_bytes(image, "PNG"), 100).size == (640, 480)


def test_a_cut_jpeg_is_refused_when_it_comes_out_smaller_too():
    """Truncated pictures are refused at every size."""
    data = as_bytes(gradient(640, 480), "JPEG")
    for end in range(600, len(data) - 2, 997):
        with pytest.raises(InvalidImage):
            shrunk(data[:end], 32)


def test_a_giant_comes_out_smaller_in_any_format():
    """It is upright, flattened, and close to the full-size result."""
    limits = ImageLimits(giant=100_000)
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode in ("RGB", "RGBA", "L", "I;16"):
        data = as_bytes(gradient(640, 480).convert("L" if mode == "I;16" else mode).convert(mode), "PNG", exif=exif)
        full, small = open_picture(data, LIMITS), shrunk(data, 100, limits)
        assert full.size == (480, 640)
        assert small.size == (120, 160)
        assert abs(np.asarray(full.reduce(4)).astype(int) - np.asarray(small)).max() <= 1


@pytest.mark.parametrize("alpha", [0, 255])
def test_a_bmp_with_nothing_in_its_alpha_channel_is_opaque(alpha):
    """Writers of 32 bits per pixel often leave the alpha bytes 0; viewers show the colours."""
    image = gradient(40, 30)
    data = files.bmp_with_alpha(image, alpha)
    assert Image.open(io.BytesIO(data)).mode == "RGBA"
    assert apart(opened(data), np.asarray(image).astype(int)) == 0


def test_a_bmp_with_alpha_is_flattened():
    """If some alpha values are not 0, alpha counts."""
    data = bytearray(files.bmp_with_alpha(picture("blue", (4, 1)), 0))
    data[-1] = 255  # the last pixel of the row
    assert opened(bytes(data))[0].tolist() == [[255] * 3] * 3 + [[0, 0, 255]]


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("giant", [False, True])
def test_a_gif_frame_smaller_than_its_canvas_stands_on_white(transparent, giant):
    """The area outside of the first frame is transparent in viewers."""
    image = Image.new("P", (40, 40), 1)
    image.putpalette([9, 9, 9, 200, 0, 0])
    data = bytearray(as_bytes(image, "GIF", **({"transparency": 0} if transparent else {})))
    data[6:10] = struct.pack("<HH", 80, 80)
    frame = data.index(b",", 13)
    data[frame + 1 : frame + 5] = struct.pack("<HH", 16, 24)
    limits = ImageLimits(giant=100 if giant else 10**6)
    times = 2 if giant else 1
    expected = np.full((80 // times, 80 // times, 3), 255)
    expected[24 // times : 64 // times, 16 // times : 56 // times] = (200, 0, 0)
    assert apart(np.asarray(shrunk(bytes(data), 40, limits)).astype(int), expected) == 0


def test_a_long_thin_giant_takes_little_memory():
    """It is flattened block by block along both sides."""
    limits = ImageLimits(giant=100_000)
    data = as_bytes(Image.new("RGBA", (300_000, 3), (255, 0, 0, 128)))
    assert shrunk(data, 1, limits).size == (150_000, 2)
    assert apart(np.asarray(shrunk(data, 1, limits)).astype(int)[:, 7::9999], np.full((2, 16, 3), (255, 127, 127))) <= 1
