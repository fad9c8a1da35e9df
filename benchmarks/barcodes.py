"""Measure how small barcodes may be, and the cost of reading them: the tables of docs/decisions/0037-barcodes.md.

python -m benchmarks.barcodes
"""

import io
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from app.images.barcodes import read_barcodes
from app.images.header import ImageLimits
from app.images.prepare import ImageForm, Preparer
from harness.packages import RICE, package, symbol

FORM = ImageForm(260, "shortest", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PLACES = 12


def main() -> None:
    """Print both tables as Markdown."""
    widths, blurs = (3, 2.5, 2, 1.75, 1.5, 1.25), (0, 0.5, 1, 1.5)
    print("| pixels of the narrowest bar |", " | ".join(f"blurred by {blur:g}" for blur in blurs), "|")
    print("|---" * (1 + len(blurs)) + "|")
    for width in widths:
        print(f"| {width:g} |", " | ".join(f"{share_read(width, blur):.0%}" for blur in blurs), "|")
    print(
        "\n| JPEG | decoded alone | decoded for codes too | read, with a code | read, without |\n|---|---|---|---|---|"
    )
    for size in ((800, 600), (1600, 1200), (2560, 1920), (4000, 3000)):
        print(f"| {size[0]} x {size[1]} |", " | ".join(f"{ms:.0f} ms" for ms in costs(size)), "|")


def share_read(width: float, blur: float) -> float:
    """Return the share of an EAN-13's positions and angles in which it is read, by the width of its narrowest bar."""
    read = 0
    for number in range(PLACES):
        drawn = package(symbol(RICE, scale=8), side=1600, turned=15 * number, at=(800 + 3 * number, 800 + 5 * number))
        side = round(1600 * width / 8)
        photo = drawn.resize((side, side), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(blur))
        read += RICE in [code.text for code in read_barcodes(photo.convert("L"), photo.size)]
    return read / PLACES


def costs(size: tuple[int, int]) -> list[float]:
    """Return processor times in ms: decoding for the model, for codes too, reading with and without a code."""
    preparer = Preparer(FORM, ImageLimits())
    with_code, without = (photo(size, scale) for scale in (size[0] // 300, 0))
    grey, blank = (preparer.pixels_and_grey(data)[1:] for data in (with_code, without))
    return [
        cpu_ms(lambda: preparer.pixels(with_code)),
        cpu_ms(lambda: preparer.pixels_and_grey(with_code)),
        cpu_ms(lambda: read_barcodes(*grey)),
        cpu_ms(lambda: read_barcodes(*blank)),
    ]


def photo(size: tuple[int, int], scale: int) -> bytes:
    """Return a JPEG of a drawn package with the noise of a sensor, with a barcode unless the scale is 0."""
    width, height = size
    drawn = package(symbol(RICE, scale=scale) if scale else Image.new("L", (9, 9), 255), side=width)
    drawn = drawn.crop((0, (width - height) // 2, width, (width - height) // 2 + height))
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    pixels = (np.asarray(drawn) + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the median processor time of seven calls."""
    times = []
    for _ in range(7):
        start = time.thread_time()
        work()
        times.append(1000 * (time.thread_time() - start))
    return sorted(times)[3]


if __name__ == "__main__":
    main()
