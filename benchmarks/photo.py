"""The picture for speed measurements."""

import io

import numpy as np
from PIL import Image


def photo(side: int = 348, seed: int = 0) -> bytes:
    """Generate a JPEG as detailed as a photograph: smooth noise."""
    small = np.random.default_rng(seed).integers(0, 256, (side // 6, side // 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()
