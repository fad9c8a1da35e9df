"""Surfaces in space, made from curves: turned about an axis, or drawn along a line.

A surface is a net of points [rows, around, 3]: x to the right, y down, z towards the eye. What varies along it is a
column [rows, 1], what varies around it is a row [1, around], and both together make the net.
"""

from dataclasses import dataclass

import numpy as np

from samples.arrays import Floats
from samples.colours import Colour, mix


@dataclass(frozen=True)
class Part:
    """One surface that goes round the origin: points, and a colour and gloss that may be the same all over."""

    points: Floats
    colour: Colour | Floats
    gloss: float | Floats


def along(rows: int) -> Floats:
    """From one end (0) to the other (1), as a column."""
    return np.linspace(0, 1, rows, dtype=np.float32)[:, None]


def polar(rows: int) -> Floats:
    """The angle from the stalk end (0) to the other end (pi), as a column."""
    return np.linspace(0.001, np.pi - 0.001, rows, dtype=np.float32)[:, None]


def around(count: int) -> Floats:
    """The angle once round, as a row."""
    return np.linspace(0, 2 * np.pi, count, dtype=np.float32)[None, :]


def lathe(radius: Floats, y: Floats, ring: Floats) -> Floats:
    """Points of a thing turned about the upright axis; ring stretches each radius."""
    turn = around(ring.shape[1])
    reach = radius * ring
    return np.stack([reach * np.cos(turn), np.broadcast_to(y, reach.shape), reach * np.sin(turn)], -1)


def tube(x: Floats, y: Floats, radius: Floats, ring: Floats) -> Floats:
    """Points of a tube round a line in the plane of the picture; ring stretches each radius."""
    turn = around(ring.shape[1])
    dx, dy = np.gradient(x, axis=0), np.gradient(y, axis=0)
    step = np.hypot(dx, dy) + 1e-9
    across = radius * ring * np.cos(turn)
    return np.stack([x + across * (dy / step), y - across * (dx / step), radius * ring * np.sin(turn)], -1)


def stalk(start: tuple[float, float], end: tuple[float, float], radii: tuple[float, float], colour: Colour) -> Part:
    """A bent stalk with a cut end; the radii are those at its start and end."""
    s = along(150)
    x = start[0] + (end[0] - start[0]) * s**2
    y = start[1] + (end[1] - start[1]) * s
    radius = (radii[0] + (radii[1] - radii[0]) * np.sqrt(s)) * np.sqrt(np.clip((1 - s) / 0.05, 0, 1))
    tint = mix(colour, (0.45, 0.38, 0.25), np.clip(s - 0.8, 0, 1) * 3)
    return Part(tube(x, y, radius, np.ones((1, 150), np.float32)), tint, 0.15)
