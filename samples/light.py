"""Light: lamps on a ceiling and daylight all round, and what they make of a stage."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from samples.arrays import Floats, Rng, resize
from samples.colours import LIGHT, Colour
from samples.stage import Stage

SKY = (1.0, 1.0, 1.04)
STEP = 8  # shade is worked out for one dot in so many, across and down


class Lamp(NamedTuple):
    """A lit rectangle on the ceiling; the unit is the height of the ceiling above the goods."""

    x: float
    y: float
    half_wide: float
    half_long: float
    power: float


@dataclass(frozen=True)
class Light:
    """The lamps, and three directions as the eye has them: x to the right, y down, z towards it."""

    up: Floats
    back: Floats
    main: Floats  # roughly to the first lamp
    lamps: list[Lamp]
    key: Colour


def shop_light(rng: Rng, above: float, front: float = 0.35) -> Light:
    """Lamps on a ceiling, for an eye that looks down by an angle; at least `front` of the main light is from there."""
    up = np.asarray([0, -math.cos(above), math.sin(above)], np.float32)
    back = np.asarray([0, -math.sin(above), -math.cos(above)], np.float32)
    lamps = []
    across = rng.random() < 0.5
    for _ in range(int(rng.integers(1, 4))):
        long, thin = rng.uniform(0.25, 0.9), rng.uniform(0.07, 0.2)
        size = (long, thin) if across else (thin, long)
        lamps.append(Lamp(rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.5), *size, rng.uniform(0.6, 1.2)))
    main = up + np.asarray([0.9 * lamps[0].x, 0, 0], np.float32) + 0.9 * lamps[0].y * back
    main[2] = max(main[2], front)
    warm = rng.uniform(-0.06, 0.1)
    return Light(up, back, main / np.linalg.norm(main), lamps, (1 + warm, 1.0, 1 - 1.3 * warm))


def mirrored(light: Light, normal: Floats, rough: float) -> Floats:
    """How much of the lamps and of the sky a glossy skin throws to the eye, for each normal [..., 3]."""
    ray = 2 * normal[..., 2:] * normal - np.asarray([0, 0, 1], np.float32)
    rise = ray @ light.up
    x, y = ray[..., 0] / np.clip(rise, 0.12, None), ray @ light.back / np.clip(rise, 0.12, None)
    glow = np.zeros_like(rise)
    for lamp in light.lamps:
        edge = ((x - lamp.x) / (lamp.half_wide + rough)) ** 4 + ((y - lamp.y) / (lamp.half_long + rough)) ** 4
        haze = ((x - lamp.x) ** 2 + (y - lamp.y) ** 2) / (0.5 + 2 * rough)
        glow += lamp.power * (np.exp(-edge) * min(1.0, 0.12 / (rough + 0.05)) + 0.09 * np.exp(-haze))
    glow *= np.clip(rise * 4 - 0.2, 0, 1)
    rim = (1 - normal[..., 2]) ** 4 * np.clip(0.5 + 0.6 * rise, 0.05, 1) * 0.22
    return 0.75 * glow + rim


def slope_table(light: Light, rough: float) -> Floats:
    """For each slope in bytes (at x * 256 + y): the red, green and blue light on it, and the lamps mirrored in it."""
    line = (np.arange(0, 256, 2, dtype=np.float32) - 127) / 127  # every other slope, which saves time
    x, y = np.meshgrid(line, line, indexing="ij")
    normal = np.stack([x, y, np.sqrt(np.clip(1 - x * x - y * y, 0, 1))], -1)
    lamp = np.clip(normal @ light.main * 1.1 - 0.1, 0, None)
    day = np.clip(0.5 + 0.5 * (normal @ light.up), 0.08, 1)
    colours = [sky * 0.34 * day + key * 0.82 * lamp for key, sky in zip(light.key, SKY, strict=True)]
    tables = [*colours, mirrored(light, normal, rough)]
    return np.stack([resize(table, 256, 256, Image.Resampling.BILINEAR).ravel() for table in tables])


def shade_of(stage: Stage, light: Light, thick: float) -> Floats:
    """How much light gets to each dot: less in hollows, less behind what stands between it and the lamp."""
    side = stage.side
    coarse = stage.height[STEP // 2 :: STEP, STEP // 2 :: STEP]
    cells = max(int(side / (thick * 0.9)), 3)
    mean = resize(resize(coarse, cells, cells, Image.Resampling.BOX), side, side)
    hollow = np.clip((mean - stage.height) * np.float32(0.9 / thick), -0.12, 0.85)
    half = len(coarse) // 2
    soft = resize(horizon(coarse, stage.floor, light, thick), half, half, Image.Resampling.BOX)
    cast = np.clip((resize(soft, side, side) - stage.height) / (1.1 * thick), 0, 1)
    shade: Floats = (1 - hollow) * (1 - 0.45 * cast)
    return shade


def horizon(height: Floats, floor: float, light: Light, thick: float) -> Floats:
    """How high a dot would have to be for the main light to reach it over all that stands before it."""
    reach = 14
    padded = np.pad(height, reach, constant_values=floor)
    level = float(np.hypot(*light.main[:2])) + 1e-6
    highest = np.full_like(height, -1e6)
    for k in range(1, reach + 1):
        far = k * min(thick * 0.2 / STEP, 1.0)
        x, y = (reach + round(far * float(light.main[axis]) / level) for axis in (0, 1))
        before = padded[y : y + len(height), x : x + len(height)]
        np.maximum(highest, before - far * STEP * float(light.main[2]) / level, out=highest)
    return highest


def lit(stage: Stage, light: Light, rough: float, thick: float, ground: Floats) -> Floats:
    """The light [side, side, 3] of pieces of some roughness and thickness, and of the ground where there are none.

    Slopes are turned as their pieces lie and looked up in the table; that times colour, plus gloss, is what is seen.
    """
    shade, table = shade_of(stage, light, thick), slope_table(light, rough)
    parts = stage.dots.view(np.uint8).reshape(stage.side, stage.side, 8)
    poses = [(1.0, 0.0, 1.0, 1.0, 1.0), *((math.cos(p.turn), math.sin(p.turn), *p.tint) for p in stage.poses)]
    cos, sin, *tint = np.asarray(poses, np.float32).T.take(stage.owner, 1)
    x, y = parts[..., 0] - np.float32(128), parts[..., 1] - np.float32(128)
    slope = (cos * x - sin * y + np.float32(128.5)).astype(np.int32) << 8
    slope += (sin * x + cos * y + np.float32(128.5)).astype(np.int32)
    *colours, glow = (column.take(slope, mode="clip") for column in table)
    glow *= parts[..., 7]
    glow *= np.clip(shade * np.float32(1.6 / 200) - np.float32(0.4 / 200), 0.0003, 0.005)
    seen = [LIGHT.take(parts[..., 4 + k]) * tint[k] * colours[k] * shade + glow for k in range(3)]
    return np.where((stage.owner > 0)[..., None], np.stack(seen, -1), ground * shade[..., None])
