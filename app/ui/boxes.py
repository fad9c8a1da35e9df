"""A picture with numbered boxes drawn on it."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from app.ui.picking import Picked, preview

INK, PAPER = "#1d4a37", "#ffffff"


def boxed(picked: Picked, boxes: Sequence[Sequence[int]]) -> Image.Image:
    """The picture, upright, with boxes (left, top, right, bottom in pixels of its file) numbered from 1."""
    image, scale = preview(picked)
    pen, line = ImageDraw.Draw(image), max(2, max(image.size) // 200)
    font = ImageFont.load_default(max(10, max(image.size) // 20))
    for number, box in enumerate(boxes, start=1):
        left, top, right, bottom = (round(scale * each) for each in box)
        outer = left, top, max(left, right - 1), max(top, bottom - 1)
        pen.rectangle(outer, outline=PAPER, width=3 * line)
        if min(outer[2] - left, outer[3] - top) >= 2 * line:  # a smaller box has no room for a second line
            pen.rectangle((left + line, top + line, outer[2] - line, outer[3] - line), outline=INK, width=line)
        _, _, wide, high = pen.textbbox((0, 0), str(number), font)
        pen.rectangle((left, top, left + wide + 6 * line, top + high + 4 * line), fill=INK, outline=PAPER, width=line)
        pen.text((left + 3 * line, top + line), str(number), PAPER, font)
    return image
