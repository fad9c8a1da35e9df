"""Every form of a picture becomes what the service takes, and large ones shrink."""

import base64
import io

import numpy as np
import pytest
from larder_client.pictures import SHORTEST, as_base64
from PIL import Image

from samples.draw import draw
from tests.fakes import as_bytes, picture


def back(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def photo(width: int, height: int) -> Image.Image:
    """A drawn banana, enlarged: drawing it that large takes long."""
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
    """With `shrink=False` every byte of the file travels."""
    data = as_bytes(photo(900, 900), "JPEG")
    assert base64.b64decode(as_base64(data, shrink=False)) == data


def test_a_phones_photo_stays_upright():
    """EXIF orientation is applied before it is lost to shrinking."""
    image = Image.new("RGB", (1200, 800))
    image.paste((255, 0, 0), (0, 0, 600, 800))  # the left half; upright, after a quarter turn, it is the upper one
    exif = Image.Exif()
    exif[0x0112] = 6
    small = back(as_base64(as_bytes(image, "JPEG", exif=exif)))
    assert small.size == (SHORTEST, round(1200 * SHORTEST / 800))
    assert small.getpixel((SHORTEST // 2, 20))[0] > 200
    assert small.getpixel((SHORTEST // 2, small.height - 20))[0] < 50
    assert small.getexif().get(0x0112) is None


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "P", "I;16"])
def test_what_cameras_do_not_make_goes_to_the_service(mode):
    """Transparency, CMYK, palettes and 16 bits are the service's to render, whatever the size."""
    image = Image.new(mode, (600, 600))
    data = as_bytes(image, "JPEG" if mode == "CMYK" else "PNG")
    assert base64.b64decode(as_base64(data)) == data


def test_what_is_no_picture_goes_to_the_service():
    """The service says what is wrong with it; the client does not guess."""
    whole = as_bytes(photo(900, 900), "JPEG")
    for data in (b"", b"hello", whole[:5000]):
        assert base64.b64decode(as_base64(data)) == data


def test_pil_pictures_and_arrays_are_taken():
    """A PIL picture, an RGB, a grey and an RGBA array."""
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


@pytest.mark.parametrize("wrong", [np.zeros((30, 40, 3)), np.zeros((3, 30, 40), np.uint8), np.zeros(5, np.uint8), 7])
def test_other_forms_are_refused(wrong):
    """Floats, channels first, one dimension and what is no array get an error that says what is allowed."""
    with pytest.raises(TypeError, match="RGB|array"):
        as_base64(wrong)


def test_a_file_that_is_not_there(tmp_path):
    """A wrong path is the caller's OSError, not a request."""
    with pytest.raises(FileNotFoundError):
        as_base64(tmp_path / "none.jpg")
