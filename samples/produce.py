"""Fruit and vegetables: for each kind a function that makes its parts, a little different every time.

A round piece reaches about 1 from its middle, a long one from -1 to 1; the stalk end is on top. In every function `t`
is the angle from the stalk end of a round piece (0 to pi) and `s` the way along a long one (0 to 1).
"""

import math

import numpy as np

from samples.arrays import Rng, bell, grain, rotate
from samples.colours import Colour, mix, vary
from samples.surfaces import Part, along, around, lathe, polar, stalk, tube

ROUND = (320, 680)  # the net of most round pieces


def citrus(rng: Rng, skin: Colour, other: Colour, long: float, tip: float, pores: float, gloss: float) -> list[Part]:
    """A citrus fruit: a pored ball, more or less long, with a nipple and a stalk scar."""
    t = polar(ROUND[0])
    y = -np.cos(t) * long + tip * bell(np.pi - t, 0.3) - 0.35 * tip * bell(t, 0.3) + 0.04 * bell(t, 0.12)
    ring = 1 + 0.025 * grain(rng, ROUND, 4, 6) + pores * grain(rng, ROUND, 90, 150) * np.sin(t)
    colour = mix(skin, other, 0.5 + 0.6 * grain(rng, ROUND, 4, 5) + 0.12 * grain(rng, ROUND, 80, 130))
    colour = mix(colour, (0.35, 0.36, 0.12), bell(t, 0.09) * 0.9)
    colour = mix(colour, (0.45, 0.4, 0.15), bell(np.pi - t, 0.07) * 0.6)
    return [Part(lathe(np.sin(t) ** 0.95, y, ring), colour, gloss * (1 - 0.9 * bell(t, 0.15)))]


def lemon(rng: Rng) -> list[Part]:
    """A lemon: longer than wide, with a nipple."""
    skin = vary(rng, (0.95, 0.78, 0.10), 0.02)
    return citrus(rng, skin, (0.98, 0.86, 0.22), rng.uniform(1.18, 1.4), rng.uniform(0.16, 0.3), 0.006, 0.55)


def lime(rng: Rng) -> list[Part]:
    """A lime: a small green ball with a short nipple and yellower patches."""
    skin, other = vary(rng, (0.31, 0.48, 0.09), 0.035), vary(rng, (0.55, 0.66, 0.17), 0.035)
    return citrus(rng, skin, other, rng.uniform(1.04, 1.18), rng.uniform(0.08, 0.16), 0.004, 0.8)


def orange(rng: Rng) -> list[Part]:
    """An orange: a round, pored ball."""
    skin = vary(rng, (0.98, 0.55, 0.05), 0.02)
    return citrus(rng, skin, (0.99, 0.64, 0.10), rng.uniform(0.93, 1.02), 0.0, 0.007, 0.55)


def apple(rng: Rng) -> list[Part]:
    """A green apple: a ball with a hollow at each end, pale dots and a thin stalk."""
    t = polar(ROUND[0])
    y = -0.92 * np.cos(t) + 0.30 * bell(t, 0.36) - 0.2 * bell(np.pi - t, 0.3)
    ring = 1 + 0.03 * grain(rng, ROUND, 3, 5) + 0.02 * np.cos(5 * around(ROUND[1])) * (t / np.pi) ** 2
    skin, other = vary(rng, (0.50, 0.70, 0.14), 0.03), vary(rng, (0.66, 0.80, 0.28), 0.03)
    colour = mix(skin, other, 0.5 + grain(rng, ROUND, 5, 6))
    colour = mix(colour, (0.80, 0.88, 0.55), 0.5 * (grain(rng, ROUND, 60, 90) > 0.72))
    colour = mix(colour, (0.42, 0.40, 0.16), bell(t, 0.2) * 0.8)
    blush = np.clip(grain(rng, ROUND, 3, 3) - 0.45, 0, 1) * rng.choice([0.0, 0.0, 1.2])
    colour = mix(colour, (0.75, 0.5, 0.25), blush)
    stem = stalk((0.0, -0.5), (rng.uniform(-0.2, 0.2), -1.1), (0.05, 0.045), (0.36, 0.24, 0.12))
    return [Part(lathe(np.sin(t) * (1 + 0.07 * np.cos(t)), y, ring), colour, 0.8), stem]


def leaf(turn: float, reach: float, lift: float) -> Part:
    """One narrow green leaf lying on the top of a fruit, its point curled up."""
    s = along(140)
    across = np.linspace(-1, 1, 60, dtype=np.float32)[None, :]
    side = 0.10 * across * np.sin(np.pi * (0.12 + 0.88 * s)) * (1.1 - s)
    x, z = rotate(reach * s, side, turn)
    y = -0.66 - 0.14 * bell(reach * s - 0.33, 0.2) - lift * s**2 + 0.04 * np.abs(across)
    return Part(np.stack([x, y, z], -1), mix((0.22, 0.36, 0.10), (0.36, 0.52, 0.18), np.abs(across)), 0.1)


def tomato(rng: Rng) -> list[Part]:
    """A tomato: a flat, very shiny red ball, most with a green star on top."""
    t = polar(ROUND[0])
    y = -0.82 * np.cos(t) + 0.17 * bell(t, 0.32) - 0.03 * bell(np.pi - t, 0.15)
    ribs = 0.03 * np.cos(rng.integers(4, 7) * around(ROUND[1]) + 1) * bell(t, 0.8)
    ring = 1 + ribs + 0.025 * grain(rng, ROUND, 3, 5)
    colour = mix(vary(rng, (0.80, 0.09, 0.05), 0.02), (0.88, 0.20, 0.08), 0.4 + 0.7 * grain(rng, ROUND, 4, 5))
    colour = mix(colour, (0.72, 0.42, 0.16), bell(t, 0.13) * 0.8)
    parts = [Part(lathe(np.sin(t) ** 0.96, y, ring), colour, 1.0)]
    if rng.random() < 0.75:
        start, count = rng.uniform(0, 6), int(rng.integers(5, 7))
        turns = [start + 2 * math.pi * k / count + rng.normal(0, 0.12) for k in range(count)]
        parts += [leaf(turn, rng.uniform(0.42, 0.6), rng.uniform(0.0, 0.2)) for turn in turns]
        parts.append(stalk((0.0, -0.6), (rng.uniform(-0.1, 0.1), -1.0), (0.05, 0.05), (0.3, 0.45, 0.14)))
    return parts


def pepper(rng: Rng) -> list[Part]:
    """A red bell pepper: three or four swollen lobes, a deep top and a thick green stalk."""
    t = polar(ROUND[0])
    lobes = int(rng.integers(3, 5))
    turn = around(ROUND[1]) + 0.25 * np.sin(around(ROUND[1]) + rng.uniform(0, 6))
    crease = (1 - np.abs(np.cos(lobes * turn / 2))) ** 1.6 * (0.20 + 0.16 * (1 - np.sin(t)))
    ring = 1 - crease + 0.05 * grain(rng, ROUND, 4, 6)
    radius = np.sin(t) ** 0.62 * (1 - rng.uniform(0.16, 0.3) * t / np.pi)
    y = -rng.uniform(0.95, 1.2) * np.cos(t) + 0.42 * bell(t, 0.5) - 0.25 * bell(np.pi - t, 0.4)
    colour = mix(vary(rng, (0.72, 0.04, 0.05), 0.02), (0.84, 0.12, 0.05), 0.4 + 0.7 * grain(rng, ROUND, 4, 5))
    colour = mix(colour, (0.45, 0.50, 0.12), bell(t, 0.16))
    end = (rng.uniform(-0.35, 0.35), -1.45)
    stem = stalk((0.0, -0.5), end, (0.26, 0.13), vary(rng, (0.36, 0.56, 0.16), 0.03))
    return [Part(lathe(radius, y, ring), colour, 1.0), stem]


def onion(rng: Rng) -> list[Part]:
    """A yellow onion: a papery, streaked globe with a dry neck and a tuft of roots."""
    grid = (520, 620)
    t = polar(grid[0])
    y = -rng.uniform(0.82, 1.0) * np.cos(t) - rng.uniform(0.3, 0.55) * bell(t, 0.24) + 0.08 * bell(np.pi - t, 0.2)
    streak = grain(rng, grid, 3, 150) + 0.6 * grain(rng, grid, 6, 300)
    ring = 1 + 0.02 * grain(rng, grid, 3, 6) + 0.006 * streak
    skin, other = vary(rng, (0.74, 0.46, 0.16), 0.03), vary(rng, (0.91, 0.70, 0.38), 0.03)
    colour = mix(skin, other, 0.5 + grain(rng, grid, 4, 5))
    colour = mix(colour, (0.48, 0.25, 0.08), np.clip(streak, 0, 1) * 0.55)
    bare = np.clip(6 * (grain(rng, grid, 4, 8) - 0.5), 0, 1) * rng.choice([0.0, 0.6])
    colour = mix(colour, (0.90, 0.78, 0.48), bare)
    ends = np.maximum(bell(t, 0.3), 0.9 * bell(np.pi - t, 0.13)) * (0.8 + 0.3 * grain(rng, grid, 20, 60))
    colour = mix(colour, (0.42, 0.30, 0.17), ends)
    return [Part(lathe(np.sin(t), y, ring), colour, 0.45 + 0.2 * grain(rng, grid, 4, 60))]


def avocado(rng: Rng) -> list[Part]:
    """An avocado: a pebbled dark pear with a pale stalk button; green-black, brown-black or green."""
    t = polar(ROUND[0])
    radius = np.sin(t) * (0.86 - rng.uniform(0.12, 0.22) * np.cos(t))
    pebble = grain(rng, ROUND, 55, 84) + 0.6 * grain(rng, ROUND, 100, 160)
    dark, pale = (0.13, 0.16, 0.08), (0.24, 0.29, 0.11)
    if rng.random() >= 0.6:
        dark, pale = (0.17, 0.13, 0.11), (0.26, 0.22, 0.15)
    if rng.random() < 0.25:
        dark, pale = (0.24, 0.34, 0.10), (0.38, 0.47, 0.16)
    colour = mix(dark, pale, 0.5 + 0.35 * pebble + 0.5 * grain(rng, ROUND, 4, 5))
    colour = mix(colour, (0.52, 0.42, 0.22), bell(t, 0.13) ** 2)
    y = -rng.uniform(1.12, 1.28) * np.cos(t) + 0.05 * bell(t, 0.2)
    return [Part(lathe(radius, y, 1 + 0.022 * pebble * np.sin(t) ** 0.5), colour, 0.4)]


def carrot(rng: Rng) -> list[Part]:
    """A carrot: a long taper with fine creases across and a cut green-brown crown."""
    grid = (460, 260)
    s = along(grid[0])
    taper = 0.2 * (1 - rng.uniform(0.5, 0.8) * s**1.2)
    radius = taper * np.sqrt(np.clip(s / 0.05, 0, 1)) * np.sqrt(np.clip((1 - s) / 0.06, 0, 1))
    x = rng.normal(0, 0.07) * np.cos(2.5 * s)
    crease = np.clip(grain(rng, grid, 110, 6) * 1.7 - 0.55, 0, 1)
    ring = 1 - 0.05 * crease + 0.04 * grain(rng, grid, 10, 4) + 0.01 * grain(rng, grid, 200, 10)
    colour = mix(vary(rng, (0.93, 0.46, 0.09), 0.02), (0.96, 0.57, 0.18), 0.5 + 0.6 * grain(rng, grid, 14, 4))
    colour = mix(colour, (0.66, 0.29, 0.06), crease * 0.5)
    colour = mix(colour, (0.50, 0.42, 0.16), 1 - s / 0.025)
    top = float(x[0, 0])
    crown = stalk((top, -0.97), (top, -1.06), (0.07, 0.06), (0.36, 0.42, 0.14))
    return [Part(tube(x, 2 * s - 1, radius, ring), colour, 0.35), crown]


def cucumber(rng: Rng) -> list[Part]:
    """A cucumber: long, dark, striped and shiny in its film, many with a paper band."""
    grid = (460, 280)
    s, turn = along(grid[0]), around(grid[1])
    radius = rng.uniform(0.165, 0.2) * (1 - np.abs(2 * s - 1) ** 7) ** 0.5 * (1 - 0.1 * np.cos(3 * s))
    ring = 1 + 0.017 * grain(rng, grid, 40, 24) + 0.02 * np.cos(7 * turn) + 0.02 * grain(rng, grid, 8, 4)
    stripe = np.clip(grain(rng, grid, 3, 40) + 0.4 * grain(rng, grid, 30, 60), 0, 1) * (0.35 + 0.65 * s)
    colour = mix(vary(rng, (0.10, 0.22, 0.07), 0.015), vary(rng, (0.36, 0.50, 0.20), 0.02), stripe * 0.9)
    film = np.clip(0.7 + 0.5 * grain(rng, grid, 40, 8), 0.1, 1.2)
    if rng.random() < 0.5:
        beside, front = np.abs(s - rng.uniform(0.35, 0.6)), np.cos(turn - 1.2) > -0.2
        colour = mix(colour, (0.88, 0.89, 0.87), (beside < 0.065) & front)
        colour = mix(colour, vary(rng, (0.15, 0.35, 0.65), 0.1), (beside < 0.025) & front)
    x = rng.normal(0, 0.05) * np.cos(3 * s)
    top = float(x[0, 0])
    stem = stalk((top, -0.96), (top, -1.08), (0.045, 0.035), (0.45, 0.5, 0.25))
    return [Part(tube(x, 2 * s - 1, radius, ring), colour, film), stem]


def finger(rng: Rng, skin: Colour, fan: float, lift: float) -> Part:
    """One banana: a bent, five-sided tube with a thin stalk and a black tip, turned about the stalk."""
    grid = (330, 190)
    s = along(grid[0])
    bend, thick = rng.uniform(1.1, 1.6), rng.uniform(0.17, 0.2)
    neck = 0.26 + 0.74 / (1 + np.exp(-(s - 0.15) * 38))
    radius = thick * neck * (1 - 0.12 * (2 * s - 1.1) ** 2) * np.clip((1.0 - s) / 0.13, 0.0, 1) ** 0.5
    way = -0.55 + bend * s**1.15
    line = np.cumsum(np.sin(way), 0) * 1.95 / grid[0], np.cumsum(np.cos(way), 0) * 1.95 / grid[0]
    ring = 1 + 0.035 * np.cos(5 * around(grid[1]) + 0.9) + 0.012 * grain(rng, grid, 8, 5)
    colour = mix(skin, (0.96, 0.84, 0.30), 0.4 + 0.6 * grain(rng, grid, 5, 4))
    colour = mix(colour, (0.62, 0.66, 0.18), np.clip(1 - s / 0.22, 0, 0.6))
    spots = np.clip(8 * (grain(rng, grid, 70, 26) - 0.78), 0, 1) * 0.55
    spots += np.clip(6 * (grain(rng, grid, 9, 5) - 0.75), 0, 0.3)
    colour = mix(colour, (0.38, 0.24, 0.08), spots * (s > 0.2))
    colour = mix(colour, (0.14, 0.10, 0.06), np.clip((s - 0.935) * 28, 0, 0.95))
    x, y, z = np.moveaxis(tube(*line, radius, ring), -1, 0)
    x, y = rotate(x, y, fan)
    return Part(np.stack([x - 0.25, y - 0.85, z + lift * np.clip(s * 3, 0.2, 1)], -1), colour, 0.35)


def banana(rng: Rng) -> list[Part]:
    """A hand of bananas side by side, or a single one; some still green."""
    count = int(rng.choice([1, 3, 4, 4, 5, 5]))
    skin = vary(rng, (0.93, 0.75, 0.14), 0.02)
    if rng.random() < 0.2:
        skin = vary(rng, (0.74, 0.75, 0.20), 0.02)
    places = [k - (count - 1) / 2 for k in range(count)]
    parts = [finger(rng, skin, 0.22 * place + rng.normal(0, 0.03), -0.09 * place) for place in places]
    if count > 1:
        parts.append(stalk((-0.25, -0.72), (-0.25, -0.98), (0.16, 0.13), (0.5, 0.48, 0.18)))
    return parts
