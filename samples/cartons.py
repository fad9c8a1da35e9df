"""Cartons: printed plates, folded into a box with a gabled roof and a screw cap."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from samples.arrays import Floats, Rng
from samples.colours import Bytes, Colour, rgb, vary
from samples.stamps import Dots, Stamp, pack, spun, turned

Pen = ImageDraw.ImageDraw

WIDE, TALL = 224, 580  # a printed front or side, in dots
WIDTH, HEIGHT, SCALE, REACH = 480, 920, 330, 1.5  # the stamp of a carton
HALF, DEPTH = 0.39, 1.98  # half the width of the box, and how far down it goes from the eaves
EAVE, RIDGE = -0.95, -1.22  # where the roof ends and begins


@dataclass(frozen=True)
class Print:
    """The look of one brand."""

    paper: Colour
    ink: Colour
    roof: Colour  # other than the paper, it comes down over the upper edge
    words: tuple[str, ...]
    small: str
    art: Callable[[Pen, Bytes], None]


def oats(pen: Pen, ink: Bytes) -> None:
    """An ear of oats and a full glass."""
    pen.polygon([(52, 400), (128, 400), (120, 520), (60, 520)], fill=ink)
    pen.polygon([(56, 416), (124, 416), (117, 514), (63, 514)], fill=(240, 234, 218))
    pen.line([(180, 535), (168, 400)], fill=ink, width=4)
    for y in range(402, 512, 22):
        pen.ellipse([148, y, 168, y + 30], fill=(214, 184, 118), outline=ink)
        pen.ellipse([176, y + 6, 196, y + 36], fill=(214, 184, 118), outline=ink)


def meadow(pen: Pen, ink: Bytes) -> None:
    """Rolling fields in the ink's colour and a drop of milk."""
    for k, y in enumerate((430, 480, 530)):
        top = [(x, y + 14 * math.sin(x / 45 + 2.1 * k)) for x in range(0, 225, 8)]
        pen.polygon([*top, (224, y + 28), (0, y + 28)], fill=ink)
    pen.ellipse([86, 335, 138, 390], fill=(225, 236, 246), outline=ink, width=4)
    pen.polygon([(92, 350), (112, 300), (132, 350)], fill=(225, 236, 246))
    pen.line([(91, 352), (112, 300), (133, 352)], fill=ink, width=4)


BLUE, RED = (0.66, 0.77, 0.84), (0.80, 0.10, 0.11)
PRINTS = {
    "oatly oat milk": Print(BLUE, (0.09, 0.10, 0.13), BLUE, ("OAT", "MILK"), "oat drink", oats),
    "arla standard milk": Print((0.95, 0.95, 0.93), (0.77, 0.09, 0.11), RED, ("MILK",), "standard 3%", meadow),
}


def centred(pen: Pen, text: str, y: int, size: int, fill: Bytes) -> None:
    """A line of text in the middle, as large as fits."""
    font = ImageFont.load_default(size)
    while font.getlength(text) > WIDE - 16:
        size -= 2
        font = ImageFont.load_default(size)
    pen.text(((WIDE - font.getlength(text)) / 2, y), text, font=font, fill=fill, stroke_width=size // 24)


def front(look: Print, rng: Rng) -> Image.Image:
    """The front of a carton."""
    face = Image.new("RGBA", (WIDE, TALL), (*rgb(vary(rng, look.paper, 0.015)), 255))
    pen, ink = ImageDraw.Draw(face), rgb(look.ink)
    top, foot = 40, ink
    if look.roof != look.paper:
        top, foot = 110, (255, 255, 255)
        pen.rectangle([0, 0, WIDE, 60], fill=rgb(look.roof))
        pen.ellipse([-60, 30, WIDE + 60, 90], fill=rgb(look.roof))
    for k, word in enumerate(look.words):
        centred(pen, word, top + 92 * k, 96, ink)
    centred(pen, look.small, top + 92 * len(look.words) + 22, 30, ink)
    look.art(pen, ink)
    centred(pen, "1 litre", 552, 20, foot)
    return face


def side(look: Print, rng: Rng) -> Image.Image:
    """A side of a carton: lines of small print and a bar code."""
    face = Image.new("RGBA", (WIDE, TALL), (*rgb(look.paper), 255))
    pen, ink = ImageDraw.Draw(face), rgb(look.ink)
    pen.rectangle([0, 0, WIDE, 62], fill=rgb(look.roof))
    centred(pen, look.words[-1], 90, 56, ink)
    for y in range(180, 400, 16):
        pen.line([(22, y), (22 + int(rng.integers(110, 180)), y)], fill=ink, width=4)
    pen.rectangle([22, 430, 202, 540], outline=ink, width=3)
    for x in range(40, 186, 7):
        pen.line([(x, 446), (x, 526)], fill=(20, 20, 20), width=int(rng.integers(1, 5)))
    return face


@dataclass(frozen=True)
class Plate:
    """A flat picture in space: where its upper left corner is, and what leads along its upper and left edges."""

    corner: tuple[float, ...]
    right: tuple[float, ...]
    down: tuple[float, ...]
    face: Image.Image
    gloss: float


def disc(colour: Colour) -> Image.Image:
    """A disc of one colour."""
    face = Image.new("RGBA", (120, 120))
    ImageDraw.Draw(face).ellipse([0, 0, 119, 119], fill=(*rgb(colour), 255))
    return face


def roof(look: Print) -> list[Plate]:
    """The two gables, the slope at the front and the upright fin on the ridge."""
    gable = Image.new("RGBA", (120, 120))
    ImageDraw.Draw(gable).polygon([(0, 119), (60, 0), (119, 119)], fill=(*rgb(look.roof, 0.8 * 255), 255))
    slope, fin = (Image.new("RGBA", (120, 120), (*rgb(look.roof, by), 255)) for by in (255, 0.94 * 255))
    return [
        Plate((0.97 * HALF, RIDGE, HALF), (0, 0, -2 * HALF), (0, EAVE - RIDGE, 0), gable, 0.2),
        Plate((-0.97 * HALF, RIDGE, -HALF), (0, 0, 2 * HALF), (0, EAVE - RIDGE, 0), gable, 0.2),
        Plate((-HALF, RIDGE, 0), (2 * HALF, 0, 0), (0, EAVE - RIDGE, HALF), slope, 0.4),
        Plate((-HALF, RIDGE - 0.11, 0.01), (2 * HALF, 0, 0), (0, 0.12, 0), fin, 0.3),
    ]


def cap() -> list[Plate]:
    """A screw cap on the slope of the roof: discs over each other, the last one bright."""
    rise = np.asarray([0, EAVE - RIDGE, HALF])
    steep = rise / np.linalg.norm(rise)
    out = np.asarray([0, -steep[2], steep[1]])
    first = np.asarray([-0.17, RIDGE, 0]) + 0.52 * rise - 0.17 * steep
    grey, bright = disc((0.70, 0.70, 0.70)), disc((0.93, 0.93, 0.92))
    return [
        Plate(tuple(first + 0.014 * k * out), (0.34, 0, 0), tuple(0.34 * steep), bright if k == 9 else grey, 0.5)
        for k in range(10)
    ]


def lay(dots: Dots, heights: Floats, turn: Floats, plate: Plate) -> None:
    """Put a plate where it is nearer than what is there, if it looks at the eye."""
    corner, right, down = (turn @ np.asarray(way, np.float32) for way in (plate.corner, plate.right, plate.down))
    slope = np.cross(right, down)
    slope /= np.linalg.norm(slope)
    if slope[2] <= 0.02:
        return
    back = np.linalg.inv(np.column_stack([right, down])[:2] * SCALE)  # from dots to shares of the plate
    start = -back @ (corner[:2] * SCALE + (WIDTH / 2, HEIGHT / 2))
    rows = np.asarray([[plate.face.width], [plate.face.height]]) * np.column_stack([back, start])
    seen = np.asarray(
        plate.face.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, rows.ravel().tolist(), Image.Resampling.BICUBIC)
    )
    y, x = np.nonzero(seen[..., 3] > 127)
    u, v = back @ np.stack([x + 0.5, y + 0.5]) + start[:, None]
    height = (corner[2] + right[2] * u + down[2] * v).astype(np.float32)
    near = height > heights[y, x]
    y, x, height = y[near], x[near], height[near]
    heights[y, x] = height
    dots[y, x] = pack(slope, height, REACH, seen[y, x, :3] / np.float32(255), plate.gloss)


def carton(look: Print, rng: Rng) -> Stamp:
    """A carton turned a little to one side and seen from a little above."""
    yaw, lean = rng.uniform(0.1, 0.7) * rng.choice([-1, 1]), rng.uniform(0.12, 0.4)
    turn = (turned(rng, (lean, lean), 0.0) @ spun(yaw)).astype(np.float32)
    box = [
        Plate((-HALF, EAVE, HALF), (2 * HALF, 0, 0), (0, DEPTH, 0), front(look, rng), 0.35),
        Plate((HALF, EAVE, HALF), (0, 0, -2 * HALF), (0, DEPTH, 0), side(look, rng), 0.35),
        Plate((-HALF, EAVE, -HALF), (0, 0, 2 * HALF), (0, DEPTH, 0), side(look, rng), 0.35),
    ]
    dots, heights = np.zeros((HEIGHT, WIDTH), np.uint64), np.full((HEIGHT, WIDTH), -REACH, np.float32)
    for plate in (*box, *roof(look), *cap()):
        lay(dots, heights, turn, plate)
    return Stamp(dots, SCALE, (WIDTH / 2, HEIGHT / 2), REACH)
