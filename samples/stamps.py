"""A stamp: a piece looked at once from one side, kept as the slope, height, colour and gloss of every dot."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samples.arrays import Floats, Rng
from samples.surfaces import Part

LONGER_SIDE = 288  # of a stamp, in dots

Dots = npt.NDArray[np.uint64]  # 8 bytes each: slope x and y, height, 1, red, green, blue, gloss; all 0 where empty


@dataclass(frozen=True)
class Stamp:
    """What was seen of a piece, and how to measure it."""

    dots: Dots
    scale: float  # dots for one unit of length
    middle: tuple[float, float]  # where the origin lies, as column and row
    reach: float  # the length that the greatest height stands for


def spun(angle: float) -> Floats:
    """A turn about the upright axis."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.asarray([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def turned(rng: Rng, pitch: tuple[float, float], spin: float) -> Floats:
    """A random turn of a piece about its own axis, then of its top towards the eye."""
    about, angle = spun(rng.uniform(-spin, spin)), rng.uniform(*pitch)
    cos, sin = math.cos(angle), math.sin(angle)
    turn: Floats = (np.asarray([[1, 0, 0], [0, cos, sin], [0, -sin, cos]]) @ about).astype(np.float32)
    return turn


def pack(slope: Floats, height: Floats, reach: float, colour: Floats, gloss: float | Floats) -> Dots:
    """The dots with these properties."""
    dots = np.empty((len(height), 8), np.uint8)
    dots[:, 0:2] = np.clip(slope[..., :2] * 127 + 128, 0, 255)
    dots[:, 2] = np.clip(height / reach * 127 + 128, 0, 255)
    dots[:, 3] = 1
    dots[:, 4:7] = np.clip(colour * 255, 0, 255)
    dots[:, 7] = np.clip(gloss * 200, 0, 255)
    return dots.view(np.uint64)[:, 0]


def facing(part: Part, turn: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The points, outward slopes, colours and gloss of the half of a part that looks at the eye."""
    points = part.points @ turn.T
    slope = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    if float(np.sum(slope * points)) < 0:  # it points at the origin, which the part goes round
        slope = -slope
    slope /= np.linalg.norm(slope, axis=-1, keepdims=True) + 1e-9
    seen = slope[..., 2] > 0
    colour = np.broadcast_to(np.asarray(part.colour, np.float32), points.shape)
    gloss = np.broadcast_to(np.asarray(part.gloss, np.float32), seen.shape)
    return points[seen], slope[seen], colour[seen], gloss[seen]


def close_holes(dots: Dots) -> None:
    """Fill one-dot holes between dots that were hit."""
    hole = dots[1:-1, 1:-1]
    for _ in range(2):
        for one, other in ((dots[1:-1, :-2], dots[1:-1, 2:]), (dots[:-2, 1:-1], dots[2:, 1:-1])):
            np.copyto(hole, one, where=(hole == 0) & (one != 0) & (other != 0))


def stamp_of(parts: list[Part], turn: Floats) -> Stamp:
    """Throw all points of the parts on a small net of dots, the nearest last."""
    seen = [facing(part, turn) for part in parts]
    points, slope, colour, gloss = (np.concatenate(piece) for piece in zip(*seen, strict=True))
    low, high = points.min(0), points.max(0)
    scale = (LONGER_SIDE - 6) / float(max(high[0] - low[0], high[1] - low[1]))
    middle = (3 - float(low[0]) * scale, 3 - float(low[1]) * scale)
    width, height = (int((high[k] - low[k]) * scale) + 7 for k in (0, 1))
    order = np.argsort(points[:, 2], kind="stable")
    column = (points[order, 0] * scale + middle[0]).astype(np.int64)
    row = (points[order, 1] * scale + middle[1]).astype(np.int64)
    reach = float(np.abs(points).max())
    dots = np.zeros((height, width), np.uint64)
    dots[row, column] = pack(slope[order], points[order, 2], reach, colour[order], gloss[order])
    close_holes(dots)
    return Stamp(dots, scale, middle, reach)
