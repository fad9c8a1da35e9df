"""What a phone makes of the light: a smaller picture with its own exposure, soft corners, blur and noise."""

import numpy as np
from PIL import Image, ImageFilter

from samples.arrays import Floats, Rng
from samples.colours import SCREEN


def photo(rng: Rng, light: Floats, size: int) -> Image.Image:
    """A picture of so many dots a side, from light [side, side, 3] of about twice as many."""
    rows = light[0::2] + light[1::2]
    out = (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)
    side = len(out)
    gain = exposure(rng, side, float(out.mean()))
    warm = rng.normal(0, 0.05)
    out *= gain[..., None] * np.asarray([1 + warm, 1, 1 - warm], np.float32)
    out /= np.maximum(1, 0.72 + 0.35 * out)
    picture = Image.fromarray(SCREEN.take(np.clip(out * 4095, 0, 4095).astype(np.int16)))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8)))
    noise = rng.standard_normal((side, side, 1), np.float32) + 0.5 * rng.standard_normal((side, side, 3), np.float32)
    noisy = np.asarray(picture, np.float32) + noise * np.float32(rng.uniform(1.0, 3.5))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).resize((size, size), Image.Resampling.LANCZOS)


def exposure(rng: Rng, side: int, mean: float) -> Floats:
    """How much of the light counts at each dot: less in dark corners and to one side, more in a dark picture."""
    line = np.linspace(-1, 1, side, dtype=np.float32)
    corner = 1 - rng.uniform(0.0, 0.16) * (line[:, None] ** 2 + line[None, :] ** 2)
    slope = line * np.float32(rng.normal(0, 0.1))
    level = rng.uniform(0.9, 1.3) * (0.2 / max(mean, 0.03)) ** 0.4
    gain: Floats = level * (corner + (slope[:, None] if rng.random() < 0.5 else slope[None, :]))
    return gain
