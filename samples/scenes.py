"""Scenes in the shop, as light: goods on a counter, in a heap or a crate, cartons close by or on a shelf."""

import numpy as np

from samples.arrays import Floats, Rng
from samples.cartons import PRINTS
from samples.colours import light_of
from samples.grounds import counter, front, heaps, shelves
from samples.kinds import KINDS, some_stamps
from samples.light import Light, lit, shop_light
from samples.stage import Stage, few, pile, posed
from samples.stamps import Stamp

PLANKS = ((0.02, 0.02, 0.022), (0.35, 0.22, 0.1), (0.3, 0.3, 0.29))


def scene(rng: Rng, name: str, side: int) -> Floats:
    """The light [side, side, 3] of a picture of the named thing."""
    if name in PRINTS:
        return packets(rng, name, side)
    light = shop_light(rng, rng.uniform(0.7, 1.35))
    if rng.random() < 0.22:
        return displayed(rng, name, side, light)
    out = heaped(rng, name, side, light)
    if rng.random() < 0.45:
        crate(rng, out)
    return out


def displayed(rng: Rng, name: str, side: int, light: Light) -> Floats:
    """A few pieces on a counter."""
    stage = Stage(side, 0.0)
    unit = few(rng, stage, name)
    ground = light_of(counter(rng, side // 2), (side, side), 0.85)
    return lit(stage, light, KINDS[name].rough, unit * KINDS[name].across, ground)


def heaped(rng: Rng, name: str, side: int, light: Light) -> Floats:
    """Nothing but pieces, over a dark floor."""
    kind = KINDS[name]
    low, high = kind.size
    unit = side * low * (high / low) ** rng.random()
    stage = Stage(side, -1.2 * unit * kind.across)
    pile(rng, stage, name, unit)
    return lit(stage, light, kind.rough, unit * kind.across, np.full(3, 0.02, np.float32))


def crate(rng: Rng, out: Floats) -> None:
    """Put the goods in a crate: mostly one wall, then the front with its shade on them."""
    if rng.random() < 0.7:
        wall(rng, out)
    top = int(len(out) * rng.uniform(0.80, 0.97))
    board(rng, out, top)
    out[top - 40 : top] *= np.linspace(1, 0.45, 40, dtype=np.float32)[:, None, None]


def wall(rng: Rng, out: Floats) -> None:
    """Put the wall of a crate on the left or right, other goods beyond it and its shade on those inside."""
    side = len(out)
    at, lean, thick = rng.uniform(0.04, 0.26) * side, rng.uniform(-0.2, 0.1), 0.035 * side
    view = (out if rng.random() < 0.5 else out[:, ::-1])[:, : int(at + 0.26 * side)]
    down, across = np.ogrid[side:0:-1, : view.shape[1]]
    x = (across - at - lean * down).astype(np.float32)[..., None]
    wood = np.asarray(PLANKS[int(rng.integers(len(PLANKS)))], np.float32)
    view *= np.clip((x - thick) / (0.1 * side), 0.25, 1)
    np.copyto(view, wood * (0.7 + 0.3 * np.clip(x / thick, 0, 1)), where=x < thick)
    beyond = heaps(rng, side // 2).crop((0, 0, view.shape[1] // 2, side // 2))
    np.copyto(view, light_of(beyond, (view.shape[1], side), 0.7), where=x < 0)


def board(rng: Rng, out: Floats, top: int) -> None:
    """Put the front of a crate or shelf over the lower part."""
    side = len(out)
    out[top:] = light_of(front(rng, side, side - top), (side, side - top), 0.75)


def packets(rng: Rng, name: str, side: int) -> Floats:
    """Cartons before shelves: one close by, or rows of them."""
    light, stamp = shop_light(rng, rng.uniform(0.2, 0.5), 0.9), some_stamps(rng, name, 1)[0]
    stage = Stage(side, -0.3 * side)
    ground = light_of(shelves(rng, side // 2), (side, side), 0.6)
    if rng.random() < 0.55:
        return shelf(rng, stage, stamp, light, ground)
    unit = side * rng.uniform(0.33, 0.40)
    x, y = side * rng.uniform(0.4, 0.6), side * rng.uniform(0.5, 0.58)
    stage.put(stamp, posed(rng, x, y, unit, rng.normal(0, 0.12), 0))
    return 1.3 * lit(stage, light, 0.5, unit, ground)


def shelf(rng: Rng, stage: Stage, stamp: Stamp, light: Light, ground: Floats) -> Floats:
    """Three rows of the same carton, one behind the other, and the front of the shelf they stand on."""
    side = stage.side
    unit, foot = side * rng.uniform(0.24, 0.34), side * rng.uniform(0.72, 0.86)
    for depth in (2, 1, 0):
        scale, start = unit * (1 - 0.07 * depth), rng.uniform(0, 0.8) * unit
        for x in np.arange(start - unit, side + unit, 0.98 * unit):
            y = foot - scale * 1.02 - depth * 0.16 * unit + rng.normal(0, 0.012) * unit
            stage.put(stamp, posed(rng, x, y, scale, rng.normal(0, 0.008), -0.5 * depth * unit))
    ground[: int(foot - unit)] *= 0.5
    ground[int(foot - unit) :] = 0.32
    out = 1.25 * lit(stage, light, 0.5, unit * 0.5, ground)
    board(rng, out, int(foot + 0.07 * side))
    return out
