"""Draw packages with barcodes."""

import numpy as np
import zxingcpp
from PIL import Image, ImageDraw

RICE, OATS = "4006381333931", "5901234123457"  # EAN-13


def symbol(text: str, kind: str = "EAN13", scale: int = 3) -> Image.Image:
    """Draw a barcode in black on white, with its quiet zone; the narrowest bar is `scale` pixels wide."""
    code = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    return Image.fromarray(np.asarray(zxingcpp.write_barcode_to_image(code, scale=scale)))


def package(
    code: Image.Image,
    *,
    side: int = 800,
    turned: float = 0,
    at: tuple[int, int] | None = None,
    colour: tuple[int, int, int] = (200, 60, 50),
) -> Image.Image:
    """Draw a package in one colour, with lines of print, and a barcode on white, rotated about its centre `at`."""
    picture = Image.new("RGB", (side, side), colour)
    draw = ImageDraw.Draw(picture)
    for number in range(6):
        top = side // 40 * (number + 1)
        draw.line((side // 20, top, side // 20 + side // 3 + 9 * number, top), fill=(255, 240, 200), width=side // 200)
    label = Image.new("RGBA", (code.width + 40, code.height + 40), (255, 255, 255, 255))
    label.paste(code, (20, 20))
    label = label.rotate(turned, Image.Resampling.BICUBIC, expand=True)
    x, y = at or (side // 2, side // 2)
    picture.paste(label, (x - label.width // 2, y - label.height // 2), label)
    return picture
