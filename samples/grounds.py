"""What is under, behind and before the goods: counters, floors, other goods, and the front of a crate or shelf."""

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from samples.arrays import Floats, Rng, noise, resize
from samples.colours import mix, rgb, vary

HEAPED = [(200, 60, 40), (210, 130, 40), (150, 170, 60), (90, 110, 50), (190, 60, 60), (200, 180, 70), (120, 90, 60)]
PACKED = [(205, 205, 200), (180, 190, 195), (150, 80, 70), (90, 110, 135), (190, 165, 115), (120, 130, 105)]
CRATES = [(0.13, 0.13, 0.14), (0.70, 0.53, 0.33), (0.62, 0.48, 0.33), (0.75, 0.75, 0.74)]
TAGS = [(246, 246, 240), (250, 222, 70), (215, 50, 45)]


def painted(colour: Floats) -> Image.Image:
    """A picture of colours from 0 to 1."""
    return Image.fromarray((255 * colour).astype(np.uint8))


def wood(rng: Rng, side: int) -> Image.Image:
    """Boards with a grain."""
    tone = rng.uniform(0.65, 1.15)
    pale, dark = vary(rng, (0.70 * tone, 0.54 * tone, 0.37 * tone), 0.015), (0.52 * tone, 0.36 * tone, 0.22 * tone)
    lines = noise(rng, (90, 4), side, side) + 0.8 * noise(rng, (14, 3), side, side)
    boards = int(rng.integers(3, 7))
    at = np.arange(side) * boards / side
    lines = lines + rng.uniform(-0.5, 0.5, boards)[at.astype(int)][:, None] - 2.5 * (at % 1 < 0.03)[:, None]
    board = painted(mix(pale, dark, 0.5 - 0.35 * lines.astype(np.float32)))
    return board.rotate(90) if rng.random() < 0.4 else board


def tiles(rng: Rng, side: int) -> Image.Image:
    """A shop floor of pale tiles."""
    base = rgb(vary(rng, (0.66, 0.62, 0.56), 0.04))
    floor = Image.new("RGB", (side, side), base)
    pen, seam = ImageDraw.Draw(floor), rgb(base, 0.72)
    step, lean = int(rng.integers(side // 6, side // 3)), int(rng.integers(-60, 60))
    for k in range(-side, 2 * side, step):
        pen.line([(k, 0), (k + lean, side)], fill=seam, width=3)
        pen.line([(0, k), (side, k - lean)], fill=seam, width=3)
    return floor.filter(ImageFilter.GaussianBlur(1.6))


def steel(rng: Rng, side: int) -> Image.Image:
    """A plain counter, light to dark."""
    light, dark = vary(rng, (0.78, 0.77, 0.75), 0.05), vary(rng, (0.55, 0.54, 0.53), 0.05)
    return painted(mix(light, dark, resize(rng.random((3, 3)), side, side)))


def heaps(rng: Rng, side: int) -> Image.Image:
    """Other goods, out of focus."""
    small = side // 3
    out = Image.new("RGB", (small, small), (34, 32, 30))
    pen = ImageDraw.Draw(out)
    for left, right in pairwise([-1, *sorted(rng.integers(0, small, 2).tolist()), small]):
        tint, r = HEAPED[int(rng.integers(len(HEAPED)))], int(rng.integers(5, 11))
        pen.rectangle([left, 0, right, small], fill=rgb(tint, 0.3))
        for x, y in rng.uniform((left, -5), (right + 1, small), (160, 2)):
            own = rng.uniform(0.55, 1.1)
            pen.ellipse([x - r, y - r, x + r, y + r], fill=rgb(tint, 0.5 * own))
            pen.ellipse([x - 0.7 * r, y - r, x + 0.8 * r, y + 0.5 * r], fill=rgb(tint, own))
        pen.line([(right, 0), (right + 6, small)], fill=(28, 28, 30), width=5)
    return out.filter(ImageFilter.GaussianBlur(rng.uniform(1.2, 3))).resize((side, side), Image.Resampling.BICUBIC)


def shelves(rng: Rng, side: int) -> Image.Image:
    """Rows of packets on shelves, out of focus."""
    small = side // 3
    out = Image.new("RGB", (small, small), (52, 50, 48))
    pen = ImageDraw.Draw(out)
    rows = int(rng.integers(2, 5))
    for k in range(rows):
        low, x = (k + 1) * small // rows, -4
        while x < small:
            wide, tall = int(rng.integers(8, 22)), int(small / rows * rng.uniform(0.55, 0.85))
            tint = PACKED[int(rng.integers(len(PACKED)))]
            pen.rectangle([x, low - tall, x + wide - 1, low], fill=tint)
            pen.rectangle([x + 2, low - tall // 2, x + wide - 3, low - tall // 4], fill=rgb(tint, 0.6))
            x += wide
        pen.rectangle([0, low - 4, small, low + 3], fill=(186, 186, 184))
        for tag in range(int(rng.integers(0, 30)), small, 40):
            pen.rectangle([tag, low - 3, tag + 12, low + 3], fill=(235, 225, 190))
    return out.filter(ImageFilter.GaussianBlur(rng.uniform(1.8, 3.6))).resize((side, side), Image.Resampling.BICUBIC)


def counter(rng: Rng, side: int) -> Image.Image:
    """Something to lay a few pieces on, mostly with the shop behind it."""
    top = (wood, wood, steel, tiles)[int(rng.integers(4))](rng, side)
    edge = int(side * rng.uniform(-0.2, 0.4))
    if edge > 10:
        behind = (heaps, shelves)[int(rng.integers(2))](rng, side)
        top.paste(behind.crop((0, side - edge, side, side)), (0, 0))
        soft = top.crop((0, edge - 6, side, edge + 6)).filter(ImageFilter.GaussianBlur(2.5))
        top.paste(soft, (0, edge - 6))
    return top


def front(rng: Rng, wide: int, tall: int) -> Image.Image:
    """The front of a crate or shelf, mostly with a price tag."""
    colour = vary(rng, CRATES[int(rng.integers(len(CRATES)))], 0.015)
    out = Image.new("RGB", (wide, tall), rgb(colour))
    pen = ImageDraw.Draw(out)
    pen.rectangle([0, 0, wide, 9], fill=rgb(1.3 * part + 0.04 for part in colour))
    for y in range(60, tall, int(rng.integers(50, 120))):
        pen.rectangle([0, y, wide, y + 8], fill=rgb(colour, 0.6 * 255))
    if rng.random() < 0.75:
        tag(rng, pen, wide)
    return out


def tag(rng: Rng, pen: ImageDraw.ImageDraw, side: int) -> None:
    """A price tag somewhere along the front of a crate that is as wide as the stage."""
    x, wide, tall = int(rng.integers(0, side * 3 // 4)), int(0.24 * side), int(0.11 * side)
    paper = TAGS[int(rng.integers(len(TAGS)))]
    ink = (250, 250, 250) if paper == TAGS[2] else (30, 30, 30)
    pen.rectangle([x, 16, x + wide, 16 + tall], fill=paper)
    pen.text((x + 14, 20), f"{rng.integers(9, 60)}:90", font=ImageFont.load_default(tall * 0.62), fill=ink)
    pen.line([(x + 16, 8 + 0.92 * tall), (x + 0.8 * wide, 8 + 0.92 * tall)], fill=ink, width=5)
