"""Draw a picture of a named thing, or all the pictures kept beside this file: `python -m samples.draw [FOLDER]`."""

import sys
from pathlib import Path

from PIL import Image

from samples.arrays import dice
from samples.cartons import PRINTS
from samples.kinds import KINDS
from samples.photo import photo
from samples.scenes import scene

NAMES: tuple[str, ...] = (*KINDS, *PRINTS)

# The seeds of the pictures that are kept.
KEPT = {
    "banana": 106,
    "lemon": 107,
    "lime": 101,
    "orange": 136,
    "regular tomato": 104,
    "carrots": 100,
    "cucumber": 107,
    "red bell pepper": 102,
    "yellow onion": 109,
    "avocado": 105,
    "granny smith apple": 109,
    "oatly oat milk": 102,
    "arla standard milk": 105,
}


def draw(name: str, seed: int = 0, size: int = 480) -> Image.Image:
    """A square RGB picture of the named thing; the same name, seed and size give the same picture."""
    if name not in NAMES:
        raise ValueError(f"no drawing of {name!r}; there are: {', '.join(NAMES)}")
    rng = dice("picture", name, seed)
    return photo(rng, scene(rng, name, 16 * -(-2 * size // 16)), size)


def main(folder: Path) -> None:
    """Write one JPEG of each kind, as good as 60 000 bytes allow."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in KEPT.items():
        picture, path = draw(name, seed), folder / f"{name.replace(' ', '-')}.jpg"
        for quality in range(88, 0, -4):
            picture.save(path, quality=quality, optimize=True)
            if path.stat().st_size <= 60_000:
                break


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
