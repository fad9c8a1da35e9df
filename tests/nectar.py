"""A drawn product that no label names: cartons of plum nectar."""

from samples import cartons
from samples.arrays import dice
from samples.photo import photo
from samples.scenes import scene
from tests.fakes import as_bytes

NAME = "plum nectar"
SIZE = 240  # pixels a side


def plums(pen: cartons.Pen, ink: cartons.Bytes) -> None:
    """Return three plums."""
    for x, y in ((60, 420), (120, 450), (90, 500)):
        pen.ellipse([x, y, x + 50, y + 60], fill=ink)


PURPLE, DARK, YELLOW = (0.45, 0.2, 0.55), (0.3, 0.1, 0.4), (0.95, 0.85, 0.3)
PRINT = cartons.Print(PURPLE, YELLOW, DARK, ("PLUM", "NECTAR"), "pure juice", plums)


def nectar(seed: int, quality: int = 90) -> bytes:
    """Return a JPEG of it; the same seed gives the same picture."""
    cartons.PRINTS[NAME] = PRINT
    try:
        rng = dice("picture", NAME, seed)
        return as_bytes(photo(rng, scene(rng, NAME, 2 * SIZE), SIZE), "JPEG", quality=quality)
    finally:
        del cartons.PRINTS[NAME]
