"""Pictures of several things: samples side by side."""

import io

from PIL import Image

from harness.server import ROOT
from tests.fakes import as_bytes

SIDE = 480  # pixels of a sample


def shelf(*names: str, across: int = 3) -> bytes:
    """A JPEG of samples by their names, with this many in a row."""
    whole = Image.new("RGB", (SIDE * min(across, len(names)), SIDE * -(-len(names) // across)))
    for place, name in enumerate(names):
        sample = Image.open(io.BytesIO((ROOT / f"samples/{name}.jpg").read_bytes()))
        whole.paste(sample, (SIDE * (place % across), SIDE * (place // across)))
    return as_bytes(whole, "JPEG", quality=90)
