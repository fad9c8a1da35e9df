"""The kinds of goods: how their pieces look, how they lie, and their stamps."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from samples import produce
from samples.arrays import Rng, dice
from samples.cartons import PRINTS, carton
from samples.stamps import Stamp, stamp_of, turned
from samples.surfaces import Part

STAMPS = 10  # how many different stamps of a kind there are


@dataclass(frozen=True)
class Kind:
    """How loose pieces of one kind look and lie."""

    make: Callable[[Rng], list[Part]]
    across: float  # half the room a piece takes in its pile, across and along it, in its own units
    along: float
    size: tuple[float, float]  # one unit as a share of the picture, from a far heap to a near one
    pitch: tuple[float, float]  # how far the stalk end may turn to the eye
    spread: float  # how differently the pieces lie
    rough: float  # how soft the mirror of a lamp is in the skin
    spin: float = math.pi  # how far it may turn about its own axis

    @property
    def slim(self) -> bool:
        """Whether it is so long and thin that pieces lie side by side."""
        return self.along > 2 * self.across


KINDS = {
    "banana": Kind(produce.banana, 0.42, 0.62, (0.2, 0.34), (-0.2, 0.3), 0.35, 0.35, 0.5),
    "lemon": Kind(produce.lemon, 0.92, 1.1, (0.065, 0.13), (-0.7, 0.7), 3.2, 0.22),
    "lime": Kind(produce.lime, 0.95, 1.05, (0.06, 0.12), (-1.2, 1.2), 3.2, 0.16),
    "orange": Kind(produce.orange, 0.97, 0.97, (0.07, 0.14), (-1.5, 1.5), 3.2, 0.2),
    "regular tomato": Kind(produce.tomato, 0.97, 0.92, (0.06, 0.13), (0.1, 1.45), 3.2, 0.05),
    "carrots": Kind(produce.carrot, 0.17, 0.72, (0.3, 0.55), (-0.2, 0.2), 0.3, 0.3),
    "cucumber": Kind(produce.cucumber, 0.18, 0.75, (0.28, 0.55), (-0.2, 0.2), 0.22, 0.16),
    "red bell pepper": Kind(produce.pepper, 0.95, 1.0, (0.085, 0.16), (0.1, 1.25), 3.2, 0.06),
    "yellow onion": Kind(produce.onion, 0.97, 0.97, (0.07, 0.14), (-0.4, 1.1), 3.2, 0.25),
    "avocado": Kind(produce.avocado, 0.9, 1.1, (0.07, 0.14), (-0.3, 0.8), 3.2, 0.25),
    "granny smith apple": Kind(produce.apple, 0.97, 0.92, (0.07, 0.15), (0.1, 1.3), 3.2, 0.09),
}


@cache
def stamp(name: str, which: int) -> Stamp:
    """One of the stamps of a kind or a carton."""
    rng = dice("stamp", name, which)
    if name in PRINTS:
        return carton(PRINTS[name], rng)
    kind = KINDS[name]
    return stamp_of(kind.make(rng), turned(rng, kind.pitch, kind.spin))


def some_stamps(rng: Rng, name: str, count: int) -> list[Stamp]:
    """That many different stamps of a kind or a carton."""
    return [stamp(name, int(which)) for which in rng.choice(STAMPS, count, replace=False)]
