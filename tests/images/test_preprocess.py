"""Our preprocessing gives open_clip's numbers, and nearly so with cykooz.resizer."""

import numpy as np
import pytest
from PIL import Image

from app.exporter.open_clip_import import import_open_clip
from app.images.prepare import ImageForm, preprocessor
from app.images.resize import CYKOOZ, PILLOW, resizer

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SIZES = [
    *[(width, height) for width in (37, 61, 224, 225, 333, 701) for height in (35, 50, 224, 301, 643)],
    *[(int(side), int(other)) for side, other in np.random.default_rng(1).integers(50, 900, (20, 2))],
]


def noise(size: tuple[int, int]) -> Image.Image:
    rng = np.random.default_rng(sum(size))
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_the_numbers_are_those_of_open_clip(mode):
    """With Pillow, 50 pictures of odd sizes are within 1e-5 of open_clip's own transform."""
    theirs = import_open_clip().image_transform(
        224, is_train=False, mean=MEAN, std=STD, resize_mode=mode, interpolation="bicubic"
    )
    ours = preprocessor(ImageForm(224, mode, "bicubic", MEAN, STD), PILLOW)
    assert len(SIZES) == 50
    for size in SIZES:
        image = noise(size)
        assert np.abs(ours(image) - theirs(image).numpy()).max() < 1e-5, size


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_cykooz_resizes_as_pillow_does(interpolation):
    """Noise, which clips most, comes out within two grey levels, and the same for 98 of 100 values."""
    pytest.importorskip("cykooz_resizer", reason="cykooz.resizer has no wheel for this platform")
    by_pillow, by_cykooz = resizer(interpolation, PILLOW), resizer(interpolation, CYKOOZ)
    for width, height in [*SIZES, (1, 1), (2, 300), (3000, 2500)]:
        image, short = noise((width, height)), min(width, height)
        for size in (32, 224, short):
            new = int(size * width / short), int(size * height / short)
            apart = np.abs(np.asarray(by_cykooz(image, new), np.int16) - np.asarray(by_pillow(image, new), np.int16))
            assert apart.max() <= 2, (image.size, new)
            assert apart.mean() <= 0.02, (image.size, new)


@pytest.mark.parametrize("size", [(1, 200_000), (300_000, 2)])
def test_a_thread_of_pixels_does_not_fill_the_memory(size):
    """A picture of extreme sides is cut before it is enlarged."""
    ours = preprocessor(ImageForm(224, "shortest", "bicubic", MEAN, STD))
    assert ours(Image.new("RGB", size, "white")).shape == (3, 224, 224)


def test_the_array_is_ready_for_the_engine():
    """Float32, channels first, contiguous."""
    array = preprocessor(ImageForm(32, "shortest", "bicubic", MEAN, STD))(noise((50, 40)))
    assert (array.dtype, array.shape, array.flags.c_contiguous) == (np.float32, (3, 32, 32), True)


@pytest.mark.parametrize(("mode", "interpolation"), [("stretch", "bicubic"), ("shortest", "nearest")])
def test_an_unknown_form_is_refused(mode, interpolation):
    """A resize mode or filter that this code does not know is an error, not a guess."""
    with pytest.raises(ValueError, match="was found; known are"):
        preprocessor(ImageForm(32, mode, interpolation, MEAN, STD))
