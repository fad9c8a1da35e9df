"""Probe pictures and prompts of the gate, generated deterministically."""

import io

import numpy as np
from PIL import Image, ImageDraw

SIZES = [(640, 480), (333, 500), (224, 224), (1001, 97), (61, 640), (31, 17), (512, 511), (150, 1200)]

PROMPTS = [
    "red",
    "a photo of a green apple.",
    "a photo of a carton of oat milk, a type of food, standing on a shelf beside two jars",
    "",
    "  Two   SPACES, capitals; punctuation!? (and) brackets [1/2] – it's 50% off... ",
    "salt &amp;amp; pepper &lt;fresh&gt;",
    "crème brûlée, jalapeño, Žluťoučký kůň, ΟΔΟΣ, ΑΣ ΣΑΣ",
    "りんご 苹果 사과 яблоко تفاحة",
    "🍎🍏 apples 👩‍🍳",
    "cafÃ© au lait",
    "1234567890 12.5kg 3x500ml",
    "tomato " * 100,
]


def pictures() -> list[bytes]:
    """Generate JPEG files in sizes unlike any model's: noise, gradients, checks and shapes, in colour and in grey."""
    rng = np.random.default_rng(0)
    kinds = [_noise, _checks, _gradient, _shapes]
    drawn = [kinds[number % 4](width, height, rng) for number, (width, height) in enumerate(SIZES)]
    drawn += [kinds[number % 4](height, width, rng) for number, (width, height) in enumerate(SIZES, start=2)]
    drawn[-1] = drawn[-1].convert("L")
    return [_jpeg(picture) for picture in drawn]


def _noise(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def _gradient(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Blend one colour at the left into a second at the right and a third at the bottom."""
    left, right, bottom = rng.uniform(0, 255, (3, 3))
    x, y = np.linspace(0, 1, width)[None, :, None], np.linspace(0, 1, height)[:, None, None]
    return Image.fromarray(((left * (1 - x) + right * x) * (1 - y) + bottom * y).astype(np.uint8))


def _checks(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Draw squares of two colours, 13 pixels wide."""
    colours = rng.integers(0, 256, (2, 3), dtype=np.uint8)
    odd = (np.arange(width)[None] // 13 + np.arange(height)[:, None] // 13) % 2  # (H, W)
    return Image.fromarray(colours[odd])


def _shapes(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Draw ten ellipses and rectangles on a background."""
    picture = Image.new("RGB", (width, height), _colour(rng))
    canvas = ImageDraw.Draw(picture)
    for number in range(10):
        across, down = np.sort(rng.uniform(0, width, 2)), np.sort(rng.uniform(0, height, 2))
        box = (float(across[0]), float(down[0]), float(across[1]), float(down[1]))
        (canvas.ellipse if number % 2 else canvas.rectangle)(box, fill=_colour(rng))
    return picture


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()
