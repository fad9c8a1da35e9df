"""Every form of a picture is converted to one that the service accepts, and large ones are shrunk."""

import base64
import io

import numpy as np
import pytest
from larder_client.pictures import SHORTEST, as_base64, open_file
from PIL import Image, ImageCms

from app.images.decode import open_picture
from app.images.header import ImageLimits
from samples.draw import draw
from tests.exif import ODD_TAGS, with_exif
from tests.fakes import as_bytes, picture


def back(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def photo(width: int, height: int) -> Image.Image:
    """Return a drawn banana, enlarged because drawing at that size is slow."""
    return draw("banana", seed=3, size=256).resize((width, height), Image.Resampling.BICUBIC)


def test_a_small_file_travels_as_it_is(tmp_path):
    """Path, PathLike and bytes of a small picture are sent byte for byte."""
    data = as_bytes(picture("red"), "WEBP")
    (tmp_path / "red.webp").write_bytes(data)
    for form in (data, bytearray(data), tmp_path / "red.webp", str(tmp_path / "red.webp")):
        assert base64.b64decode(as_base64(form)) == data


def test_a_large_photo_shrinks_to_what_the_model_sees():
    """The shortest side becomes 448 pixels, in proportion, and the picture stays the same to the eye."""
    large = photo(1600, 1200)
    small = back(as_base64(as_bytes(large, "JPEG", quality=95)))
    assert small.size == (round(1600 * SHORTEST / 1200), SHORTEST)
    expected = np.asarray(large.resize(small.size, Image.Resampling.BICUBIC), np.float32)
    assert np.abs(np.asarray(small, np.float32) - expected).mean() < 4  # JPEG halves the colours' resolution


def test_shrinking_can_be_left_out():
    """With `shrink=False` the file is sent unchanged."""
    data = as_bytes(photo(900, 900), "JPEG")
    assert base64.b64decode(as_base64(data, shrink=False)) == data


def sideways() -> Image.Image:
    """Return a picture with red on the left; rotated by orientation 6, red is at the top."""
    image = Image.new("RGB", (1200, 800))
    image.paste((255, 0, 0), (0, 0, 600, 800))
    return image


def is_upright(small: Image.Image) -> bool:
    """Return whether a `sideways` picture was rotated and reduced, without an orientation tag."""
    top, bottom = (small.convert("RGB").getpixel((small.width // 2, y))[0] for y in (20, small.height - 20))
    return small.size == (SHORTEST, 672) and top > 200 and bottom < 50 and small.getexif().get(0x0112) is None


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("tag", ODD_TAGS)
def test_a_phones_photo_stays_upright(tag):
    """The orientation is applied before shrinking drops it, even with odd EXIF tags."""
    assert is_upright(back(as_base64(with_exif(as_bytes(sideways(), "JPEG"), ODD_TAGS[tag]))))


def test_a_pil_picture_is_turned_as_its_exif_says():
    """A PIL picture is sent upright whether or not it is shrunk, for the re-encoded file has no EXIF data."""
    image = Image.open(io.BytesIO(with_exif(as_bytes(sideways(), "JPEG"), ODD_TAGS["a resolution as text"])))
    assert is_upright(back(as_base64(image)))
    assert back(as_base64(image, shrink=False)).size == (800, 1200)


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "P", "I;16"])
def test_what_cameras_do_not_make_goes_to_the_service(mode):
    """Transparency, CMYK, palettes and 16 bits of any size are left to the service."""
    image = Image.new(mode, (600, 600))
    data = as_bytes(image, "JPEG" if mode == "CMYK" else "PNG")
    assert base64.b64decode(as_base64(data)) == data


@pytest.mark.parametrize("size", [(30, 30), (600, 600)])
def test_one_transparent_colour_goes_to_the_service(size):
    """A PNG whose transparency is one colour of RGB or grey is not made opaque by shrinking."""
    for mode, colour in (("RGB", (255, 0, 0)), ("L", 7)):
        data = as_bytes(Image.new(mode, size, colour), "PNG", transparency=colour)
        assert base64.b64decode(as_base64(data)) == data


@pytest.mark.parametrize("size", [(40, 30), (1200, 900)])
@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "HEIC"])
@pytest.mark.parametrize("shrink", [True, False])
def test_tiff_avif_and_heic_are_converted(size, kind, shrink):
    """A format that not every service takes arrives as JPEG, small or large, shrunk or not."""
    data = as_bytes(photo(*size), kind)
    sent = back(as_base64(data, shrink=shrink))
    assert sent.format == "JPEG"
    assert sent.size == ((597, SHORTEST) if shrink and size[0] == 1200 else size)
    expected = np.asarray(open_file(data).resize(sent.size, Image.Resampling.BICUBIC), np.float32)
    assert np.abs(np.asarray(sent, np.float32) - expected).mean() < 8  # JPEG halves the colours' resolution


def test_a_heic_photograph_is_turned_once():
    """Its decoder rotates it, and its EXIF data does not rotate it again."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert back(as_base64(as_bytes(photo(60, 40), "HEIC", exif=exif.tobytes()))).size == (40, 60)


def test_a_transparent_tiff_stays_transparent():
    """A converted picture keeps its transparency: it becomes PNG."""
    sent = back(as_base64(as_bytes(Image.new("RGBA", (40, 30), (200, 10, 10, 0)), "TIFF")))
    assert (sent.format, sent.getpixel((0, 0))) == ("PNG", (200, 10, 10, 0))


def test_a_colour_profile_survives_shrinking():
    """A profile of the sent colour space is kept; one of another colour space is dropped."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert back(as_base64(as_bytes(photo(900, 900), "JPEG", icc_profile=profile))).info["icc_profile"] == profile
    cmyk = Image.new("CMYK", (40, 30))
    cmyk.info["icc_profile"] = profile[:16] + b"CMYK" + profile[20:]
    assert "icc_profile" not in back(as_base64(cmyk)).info


def test_what_is_no_picture_goes_to_the_service():
    """The service reports the error; the client does not guess."""
    whole = as_bytes(photo(900, 900), "JPEG")
    for data in (b"", b"hello", whole[:5000]):
        assert base64.b64decode(as_base64(data)) == data


def test_pil_pictures_and_arrays_are_taken():
    """A PIL picture and RGB, grey and RGBA arrays work."""
    red = picture("red", (40, 30))
    assert back(as_base64(red)).size == (40, 30)
    for array, mode in (
        (np.asarray(red), "RGB"),
        (np.full((30, 40), 200, np.uint8), "L"),
        (np.full((30, 40, 4), 9, np.uint8), "RGBA"),
    ):
        sent = back(as_base64(array))
        assert (sent.size, sent.mode) == ((40, 30), mode)
        assert np.abs(np.asarray(sent, np.int32) - array).max() <= 4
    assert back(as_base64(np.zeros((900, 1200, 3), np.uint8))).size == (597, SHORTEST)


def in_mode(mode: str) -> Image.Image:
    """A photo in a mode of Pillow's."""
    image = photo(600, 500)
    if mode == "LAB":
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    if mode.startswith("I"):
        return image.convert("L").convert("I").point(lambda value: value * 257).convert(mode)
    first = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode)
    return (image.convert(first) if first else image).convert(mode)


COLOUR = ["P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"]
GREY = ["1", "L", "LA", "La", "F", "I", "I;16", "I;16B"]


@pytest.mark.parametrize("mode", COLOUR + GREY)
@pytest.mark.parametrize("shrink", [True, False])
def test_every_mode_of_pillow_is_sent(mode, shrink):
    """The service sees the intended picture, shrunk by bicubic interpolation in every mode."""
    image = in_mode(mode)
    if mode in ("1", "P", "PA"):  # these hold other pixels than the photo's
        meant = image.convert("L" if mode == "1" else "RGB")
    else:
        meant = photo(600, 500).convert("RGB" if mode in COLOUR else "L")
    if shrink:
        meant = meant.resize((538, SHORTEST), Image.Resampling.BICUBIC)
    sent = as_base64(image, shrink)
    if back(sent).format == "JPEG":
        meant = Image.open(io.BytesIO(as_bytes(meant, "JPEG", quality=90)))
    seen = open_picture(base64.b64decode(sent), ImageLimits())
    assert seen.size == meant.size
    assert np.abs(np.asarray(seen, np.float32) - np.asarray(meant.convert("RGB"), np.float32)).mean() < 2


def test_a_transparent_palette_is_sent_transparent():
    """A PIL picture with a transparent palette entry or one transparent colour keeps it, also when it is shrunk."""
    for mode, value in (("P", 3), ("RGB", (255, 0, 0)), ("L", 3), ("1", 0)):
        image = Image.new(mode, (600, 500), value)
        image.info["transparency"] = value
        assert back(as_base64(image)).convert("RGBA").getpixel((9, 9))[3] == 0


def test_a_picture_too_long_for_jpeg_is_sent_as_png():
    """JPEG allows at most 65,535 pixels a side."""
    assert back(as_base64(Image.new("L", (70_000, 2)))).format == "PNG"


@pytest.mark.parametrize("wrong", [np.zeros((30, 40, 3)), np.zeros((3, 30, 40), np.uint8), np.zeros(5, np.uint8), 7])
def test_other_forms_are_refused(wrong):
    """Floats, channels first, one dimension and other types get an error that says what is allowed."""
    with pytest.raises(TypeError, match="RGB|array"):
        as_base64(wrong)


def test_a_file_that_is_not_there(tmp_path):
    """A wrong path is the caller's OSError, not a request."""
    with pytest.raises(FileNotFoundError):
        as_base64(tmp_path / "none.jpg")
