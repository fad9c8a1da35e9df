"""Pictures that show two groceries, composed of photographs of one each."""

import base64
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from benchmarks.accuracy import Picture

SIDE = 348  # pixels, as the photographs; the service does not crop a square picture


@dataclass(frozen=True)
class Pair:
    """A composed picture and the two kinds that it shows."""

    image: Image.Image
    kinds: tuple[str, str]

    @property
    def data(self) -> str:
        """Return the picture as base64 of a JPEG file."""
        file = io.BytesIO()
        self.image.save(file, "JPEG", quality=95)
        return base64.b64encode(file.getvalue()).decode()


def compose(pictures: Sequence[Picture], count: int, above: bool) -> list[Pair]:
    """Compose `count` pairs of pictures of different kinds, side by side or one above the other, deterministically."""
    rng = random.Random(0)  # noqa: S311 - no secrets are drawn
    pairs: list[Pair] = []
    while len(pairs) < count:
        first, second = rng.sample(pictures, 2)
        if first.coarse != second.coarse:
            pairs.append(Pair(_together(first, second, above), (first.coarse, second.coarse)))
    return pairs


def _together(first: Picture, second: Picture, above: bool) -> Image.Image:
    """Compose a square of two halves, each the centre of a photograph."""
    half = (SIDE, SIDE // 2) if above else (SIDE // 2, SIDE)
    square = Image.new("RGB", (SIDE, SIDE))
    square.paste(_middle(first, half), (0, 0))
    square.paste(_middle(second, half), (0, SIDE // 2) if above else (SIDE // 2, 0))
    return square


def _middle(picture: Picture, size: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(Image.open(io.BytesIO(base64.b64decode(picture.data))).convert("RGB"), size)
