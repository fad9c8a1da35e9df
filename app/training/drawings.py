"""Drawn groceries: what the code of the sample pictures draws, with seeds that no sample has."""

import numpy as np

from app.training.data import Pictures
from samples.draw import NAMES, draw

FIRST_SEED = 1000  # smaller seeds are for samples that are kept


def draw_groceries(names: list[str], count: int, size: int) -> Pictures:
    """`count` pictures in turn of every drawn thing whose name is one of the classes `names`."""
    kinds = [name for name in NAMES if name in names]
    chosen = [(kinds[place % len(kinds)], FIRST_SEED + place // len(kinds)) for place in range(count)]
    pixels = [np.asarray(draw(name, seed, size)).transpose(2, 0, 1) for name, seed in chosen]
    return Pictures(np.stack(pixels), np.array([names.index(name) for name, _ in chosen]))
