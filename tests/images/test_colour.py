"""ICC profiles: colours are decoded as viewers show them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from app.images.decode import open_picture, to_srgb
from app.images.header import ImageLimits
from app.images.prepare import ImageForm, Preparer
from tests.fakes import as_bytes
from tests.images import files

FORM = ImageForm(size=64, resize_mode="squash", interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1))
PREPARER = Preparer(FORM, ImageLimits())


def colours(width=64, height=64):
    """A picture with every hue, at many levels, in smooth steps."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(
        np.stack([x * 255 // width, y * 255 // height, 255 - x * 255 // width], axis=-1).astype(np.uint8)
    )


def viewed(picture, profile):
    """The picture converted by LittleCMS alone, without our code."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"), int)


def opened(data):
    return np.asarray(open_picture(data, ImageLimits()), int)


@pytest.mark.parametrize("profile", [files.DISPLAY_P3, files.ADOBE_RGB, files.WIDE], ids=["P3", "Adobe", "wide"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_colours_of_a_profile_come_out_as_viewers_show_them(profile, kind):
    """Display P3, Adobe RGB and a space as wide as ProPhoto are within 2 grey levels of LittleCMS's own rendering."""
    more = {"lossless": True} if kind == "WEBP" else {}
    data = as_bytes(colours(), kind, icc_profile=profile, **more)
    shown = viewed(files.opened_by_pillow(data).convert("RGB"), profile)
    assert abs(shown - np.asarray(colours(), int)).max() > 15, "the profile changes something"
    assert abs(opened(data) - shown).max() <= 2


@pytest.mark.parametrize("profile", [files.DISPLAY_P3, files.WIDE], ids=["P3", "wide"])
def test_the_models_input_is_converted_too(profile):
    """It is converted at the model's size, after full and after reduced decoding."""
    for size in (64, 1024):
        data = as_bytes(colours(size, size), "JPEG", quality=98, subsampling=0, icc_profile=profile)
        plain = as_bytes(colours(size, size), "JPEG", quality=98, subsampling=0)
        levels = 255 * PREPARER.pixels(plain).transpose(1, 2, 0)
        shown = viewed(Image.fromarray(levels.round().clip(0, 255).astype(np.uint8)), profile)
        assert abs(255 * PREPARER.pixels(data).transpose(1, 2, 0) - shown).max() <= 2


def test_a_thumbnail_and_a_crop_are_converted():
    """Everything derived from a picture has its colours."""
    data = as_bytes(Image.new("RGB", (300, 300), (200, 100, 50)), "PNG", icc_profile=files.WIDE)
    shown = viewed(Image.new("RGB", (1, 1), (200, 100, 50)), files.WIDE)[0, 0]
    pixels, thumbnail = PREPARER.pixels_and_thumbnail(data)
    _, (_, crop) = PREPARER.crops(data, lambda _size: [(10, 10, 60, 60)])
    assert abs(255 * pixels[:, 0, 0] - shown).max() <= 2
    assert abs(255 * crop[:, 0, 0] - shown).max() <= 2
    assert abs(np.asarray(Image.open(io.BytesIO(thumbnail)), int)[5, 5] - shown).max() <= 4


def inks(size):
    """Cyan, magenta and yellow in smooth steps, and black in four bands."""
    y, x = np.mgrid[0:size, 0:size]
    channels = [x * 255 // size, y * 255 // size, 255 - x * 255 // size, y * 4 // size * 60]
    return Image.merge("CMYK", [Image.fromarray(channel.astype(np.uint8)) for channel in channels])


def test_print_follows_its_profile():
    """A CMYK JPEG with the profile of its press is within 2 grey levels of LittleCMS's own rendering."""
    profile = files.cmyk_profile()
    data = as_bytes(inks(64), "JPEG", quality=98, subsampling=0, icc_profile=profile)
    printed = files.opened_by_pillow(data)
    shown = viewed(printed, profile)
    assert abs(shown - np.asarray(printed.convert("RGB"), int)).mean() > 15, "the profile changes much"
    assert abs(opened(data) - shown).max() <= 2
    for foreign in (files.WIDE, files.grey_profile(1.0), profile[:300]):
        data = as_bytes(inks(64), "JPEG", quality=98, subsampling=0, icc_profile=foreign)
        assert (opened(data) == np.asarray(printed.convert("RGB"), int)).all()


def test_a_large_print_is_converted_before_it_is_cut():
    """Colours are converted in reduced decoding and in crops too."""
    profile = files.cmyk_profile()
    data = as_bytes(inks(1024), "JPEG", quality=98, subsampling=0, icc_profile=profile)
    shown = Image.fromarray(viewed(files.opened_by_pillow(data), profile).astype(np.uint8))
    _, (whole, crop) = PREPARER.crops(data, lambda _size: [(256, 256, 768, 768)])
    for pixels, box in ((PREPARER.pixels(data), None), (whole, None), (crop, (256, 256, 768, 768))):
        expected = np.asarray(shown.resize((64, 64), Image.Resampling.BILINEAR, box=box), int)
        assert abs(255 * pixels.transpose(1, 2, 0) - expected).mean() <= 2


def test_srgb_by_another_name_changes_nothing():
    """An sRGB profile is recognised by its effect; the picture is unchanged, to the last bit."""
    assert to_srgb(files.SRGB, "RGB") is None
    data = as_bytes(colours(), "PNG", icc_profile=files.SRGB)
    assert (opened(data) == np.asarray(colours(), int)).all()


def test_grey_follows_its_profile():
    """A linear grey of 128 is shown as 188; the profile of another colour space is ignored."""
    grey = Image.new("L", (4, 4), 128)
    assert opened(as_bytes(grey, icc_profile=files.grey_profile(1.0)))[0, 0].tolist() == [188] * 3
    assert opened(as_bytes(grey, icc_profile=files.WIDE))[0, 0].tolist() == [128] * 3
    colour = Image.new("RGB", (4, 4), (200, 100, 50))
    assert opened(as_bytes(colour, icc_profile=files.grey_profile(1.0)))[0, 0].tolist() == [200, 100, 50]


def test_palettes_and_transparency_are_converted():
    """Palette and half-transparent pictures go through their profile as well."""
    shown = viewed(Image.new("RGB", (1, 1), (200, 100, 50)), files.WIDE)[0, 0]
    palette = Image.new("RGB", (8, 8), (200, 100, 50)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert abs(opened(as_bytes(palette, icc_profile=files.WIDE))[0, 0] - shown).max() <= 2
    clear = Image.new("RGBA", (8, 8), (200, 100, 50, 255))
    assert abs(opened(as_bytes(clear, icc_profile=files.WIDE))[0, 0] - shown).max() <= 2


@pytest.mark.parametrize(
    "profile",
    [
        b"not a profile",
        files.DISPLAY_P3[:200],
        files.DISPLAY_P3[:128] + b"\xff" * 360,
        files.DISPLAY_P3.replace(b"rXYZ", b"zXYZ"),
        b"\0" * 128,
    ],
    ids=["text", "cut", "wrong table", "missing tag", "zeros"],
)
def test_a_broken_profile_is_ignored(profile):
    """The picture is decoded as if it had no profile, as viewers do."""
    for kind in ("PNG", "JPEG", "WEBP"):
        data, plain = (as_bytes(colours(), kind, **more) for more in ({"icc_profile": profile}, {}))
        assert (opened(data) == opened(plain)).all()


def test_a_profile_larger_than_a_megabyte_is_used_and_one_larger_than_four_is_left_out():
    """Profiles of monitors have tables; a PNG with one is a picture all the same."""
    padded = files.WIDE + bytes(1_500_000)
    size = len(padded).to_bytes(4, "big")
    assert abs(opened(as_bytes(colours(), icc_profile=size + padded[4:])) - viewed(colours(), files.WIDE)).max() <= 2
    assert (opened(as_bytes(colours(), icc_profile=files.WIDE + bytes(4_500_000))) == np.asarray(colours(), int)).all()


def test_elements_of_a_profile_are_passed_over():
    """A profile may name one of its multi-process elements half a million times; its primaries say the same."""
    count = 200_000
    element = b"mpet" + bytes(4) + bytes([0, 3, 0, 3]) + count.to_bytes(4, "big") + bytes(8 * count)
    profile = files.rgb_profile(files.WIDE_PRIMARIES, 1.8, {b"D2B0": element})
    data = as_bytes(colours(), icc_profile=profile)
    assert abs(opened(data) - viewed(colours(), files.WIDE)).max() <= 2
