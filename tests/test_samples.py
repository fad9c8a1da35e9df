"""The drawn pictures: the properties of draw(), and the stored files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from samples.draw import KEPT, NAMES, draw
from samples.kinds import stamp

FOLDER = Path(__file__).resolve().parents[1] / "samples"


@pytest.mark.parametrize("name", ["carrots", "oatly oat milk"])
def test_same_seed_same_pixels(name: str) -> None:
    """The same name and seed give identical pixels, even when nothing drawn before is remembered."""
    first = draw(name, 3, 160)
    stamp.cache_clear()
    assert np.array_equal(np.asarray(first), np.asarray(draw(name, 3, 160)))


def test_other_seed_other_picture() -> None:
    """Different seeds give clearly different pictures."""
    a, b = (np.asarray(draw("lime", seed, 160), np.float32) for seed in (1, 2))
    assert float(np.abs(a - b).mean()) > 5


@pytest.mark.parametrize("size", [97, 224])
def test_size_and_mode(size: int) -> None:
    """A picture is RGB, square and as large as asked."""
    picture = draw("regular tomato", 0, size)
    assert (picture.mode, picture.size) == ("RGB", (size, size))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_draws(name: str) -> None:
    """Every name gives a picture that is neither black, white nor flat."""
    light = np.asarray(draw(name, 11, 64).convert("L"), np.float32)
    assert 30 < light.mean() < 225 and light.std() > 15


def test_unknown_name_lists_the_names() -> None:
    """An unknown name raises an error that lists all names there are."""
    with pytest.raises(ValueError, match="durian") as error:
        draw("durian")
    assert all(name in str(error.value) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_kept_pictures_decode(name: str) -> None:
    """Each kept JPEG is there, is small, and decodes to a picture of the usual size."""
    path = FOLDER / f"{name.replace(' ', '-')}.jpg"
    assert path.stat().st_size <= 60_000
    with Image.open(path) as picture:
        picture.load()
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (480, 480))


def test_each_name_has_a_kept_picture() -> None:
    """Every name has a seed for its stored picture."""
    assert tuple(KEPT) == NAMES
