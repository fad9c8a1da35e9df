"""A picture with numbered boxes drawn on it."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from app.ui.picking import Picked, upright

INK, PAPER = "#1d4a37", "#ffffff"


def boxed(picked: Picked, boxes: Sequence[Sequence[int]]) -> Image.Image:
    """The picture, upright, with boxes (left, top, right, bottom in pixels of its file) numbered from 1."""
    image, scale = upright(picked)
    pen, line = ImageDraw.Draw(image), max(2, max(image.size) // 200)
    font = ImageFont.load_default(max(image.size) // 20)
    for number, box in enumerate(boxes, start=1):
        left, top, right, bottom = (round(scale * each) for each in box)
        pen.rectangle((left, top, right - 1, bottom - 1), outline=PAPER, width=3 * line)
        pen.rectangle((left + line, top + line, right - 1 - line, bottom - 1 - line), outline=INK, width=line)
        _, _, wide, high = pen.textbbox((0, 0), str(number), font)
        pen.rectangle((left, top, left + wide + 6 * line, top + high + 4 * line), fill=INK, outline=PAPER, width=line)
        pen.text((left + 3 * line, top + line), str(number), PAPER, font)
    return image
