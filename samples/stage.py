"""The stage: pieces in a pile or a few side by side, each put where it is nearest to the eye."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samples.arrays import Floats, Rng, rotate
from samples.colours import Colour
from samples.kinds import KINDS, Kind, some_stamps
from samples.stamps import Dots, Stamp

Places = npt.NDArray[np.int32]

# Where a few pieces lie, and how much smaller they are when there are more of them: round ones, long ones.
FEW = ((0.0, 0.0), (1.0, 0.15), (-1.0, 0.1), (0.45, -0.8), (-0.5, 0.95))
SHRINK = ((1.0, 0.66, 0.58, 0.52, 0.47), (1.0, 0.95, 0.9, 0.85, 0.8))


@dataclass(frozen=True)
class Pose:
    """How a piece lies on the stage; places and sizes are in dots of the stage."""

    x: float
    y: float
    scale: float  # of one unit of the piece
    turn: float
    base: float  # the height of its middle
    tint: Colour  # times its colour


def posed(rng: Rng, x: float, y: float, scale: float, turn: float, base: float) -> Pose:
    """A pose with a tint of its own."""
    own = rng.uniform(0.84, 1.14)
    red, green, blue = (own * rng.uniform(0.95, 1.05) for _ in range(3))
    return Pose(x, y, scale, turn, base, (red, green, blue))


class Stage:
    """The pieces as the eye sees them: the nearest dot, its height and whose it is."""

    def __init__(self, side: int, floor: float) -> None:
        """An empty stage whose floor lies at the given height."""
        self.side, self.floor = side, floor
        self.dots: Dots = np.zeros((side, side), np.uint64)
        self.height = np.full((side, side), floor, np.float32)
        self.owner = np.zeros((side, side), np.uint16)  # 0: nobody, 1: who has the first pose
        self.poses: list[Pose] = []

    def put(self, stamp: Stamp, pose: Pose) -> None:
        """Stamp a piece where it is nearer than what is there."""
        self.poses.append(pose)
        rows, columns = self.window(stamp, pose)
        dots = stamp.dots.ravel().take(lookup(stamp, pose, rows, columns))
        z = dots.view(np.uint8)[:, 2::8] * np.float32(stamp.reach * pose.scale / 127)
        z += np.float32(pose.base - stamp.reach * pose.scale * 128 / 127)
        near = (dots != 0) & (z > self.height[rows, columns])
        np.copyto(self.dots[rows, columns], dots, where=near)
        np.copyto(self.height[rows, columns], z, where=near)
        np.copyto(self.owner[rows, columns], np.uint16(len(self.poses)), where=near)

    def window(self, stamp: Stamp, pose: Pose) -> tuple[slice, slice]:
        """The rows and columns of the stage that the stamp may touch."""
        (tall, wide), step = stamp.dots.shape, stamp.scale / pose.scale
        x, y = np.asarray([0, wide, 0, wide]), np.asarray([0, 0, tall, tall])
        x, y = rotate((x - stamp.middle[0]) / step, (y - stamp.middle[1]) / step, pose.turn)
        ends = ((int(a.min()), int(a.max()) + 1) for a in (y + pose.y, x + pose.x))
        rows, columns = (slice(*np.clip(pair, 0, self.side)) for pair in ends)
        return rows, columns


def lookup(stamp: Stamp, pose: Pose, rows: slice, columns: slice) -> Places:
    """Which dot of the stamp lies at each place of a window of the stage."""
    (tall, wide), step = stamp.dots.shape, stamp.scale / pose.scale
    cos, sin = math.cos(pose.turn), math.sin(pose.turn)
    dx = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5 - pose.x) * step
    dy = ((np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5 - pose.y) * step)[:, None]
    column = ((cos * dx + stamp.middle[0]) + sin * dy).astype(np.int32)
    row = ((stamp.middle[1] - sin * dx) + cos * dy).astype(np.int32)
    place: Places = np.clip(row, 0, tall - 1) * wide + np.clip(column, 0, wide - 1)
    return place


def spots(rng: Rng, kind: Kind, side: int, unit: float, main: float) -> Floats:
    """Places for two layers of pieces over the whole stage, lower layer first, as rows of x, y and scale."""
    tilt, layers = rng.uniform(0.0, 0.35) / side, []
    wide, long = 1.84 * kind.across * unit, 1.76 * kind.along * unit
    ends = (-1.4 * side, 1.4 * side)
    v, u = np.meshgrid(np.arange(*ends, long), np.arange(*ends, wide), indexing="ij")
    u += 0.5 * wide * (np.arange(len(u)) % 2)[:, None]
    for layer, share in ((0, 1.0), (1, 0.6)):
        i, j = rng.normal(0, 0.12, (2, *u.shape))
        x, up = rotate(u + (i + 0.5 * layer) * wide, v + (j + 0.3 * layer) * long, main)
        away = 0.8 * side - up
        near = 1 / np.maximum(1 + tilt * away, 0.4)
        place = np.stack([side / 2 + x * near, 1.03 * side - away * near, near * unit], -1)
        room = unit * (0.3 * kind.along + 0.7)
        seen = (np.abs(place[..., :2] - side / 2) < side / 2 + room).all(-1) & (rng.random(u.shape) < share)
        layers.append(rng.permutation(place[seen]))
    return np.concatenate(layers)


def pile(rng: Rng, stage: Stage, name: str, unit: float) -> None:
    """Cover the stage with pieces, each let down on those below it, smaller towards the back."""
    kind, stamps = KINDS[name], some_stamps(rng, name, 6)
    main = rng.normal(0, 0.4) + (math.pi / 2 if kind.slim and rng.random() < 0.3 else 0)
    places = spots(rng, kind, stage.side, unit, main)
    across, along = rotate(places[:, 0], places[:, 1], -main)
    flat = np.stack([across / kind.across, along / kind.along], -1)
    base = np.zeros(len(places))
    for k, (x, y, scale) in enumerate(places):
        overlap = 3.2 - np.sum((flat[:k] - flat[k]) ** 2, -1) / scale**2
        over = base[:k] + kind.across * scale * np.sqrt(np.clip(overlap, 0, None))
        base[k] = over[overlap > 0].max(initial=0.25 * rng.random() * unit * kind.across)
        turn = main + rng.uniform(-kind.spread, kind.spread)
        turn += math.pi if kind.slim and rng.random() < 0.15 else 0
        stage.put(stamps[int(rng.integers(6))], posed(rng, x, y, scale, turn, float(base[k])))


def few(rng: Rng, stage: Stage, name: str) -> float:
    """Lay one to five large pieces on the floor of the stage; gives the size of a unit."""
    kind, side = KINDS[name], stage.side
    count = int(rng.integers(1, 6))
    unit = side * 0.40 / max(kind.along, 0.9) * SHRINK[kind.slim][count - 1] * rng.uniform(0.8, 1.0)
    stamps = some_stamps(rng, name, count)
    main = rng.uniform(-0.9, 0.9) if kind.slim else 0.0
    gap = unit * (2.3 * kind.across if kind.slim else 1.9 * max(kind.across, 0.8 * kind.along))
    middle = np.mean(FEW[:count], 0)
    for k, (u, v) in enumerate(sorted(FEW[:count], key=lambda place: place[1])):
        across, along = (u - middle[0]) * gap + rng.normal(0, 0.06) * gap, (v - middle[1]) * gap
        x, y = rotate(across, 0.4 * along if kind.slim else along, main)
        turn = main + rng.normal(0, 0.12 if kind.slim else 0.35)
        base = (0.8 + 0.25 * k) * kind.across * unit
        stage.put(stamps[k], posed(rng, side * 0.5 + x, side * 0.56 + y, unit, turn, base))
    return unit
