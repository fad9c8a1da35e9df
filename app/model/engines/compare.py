"""Compare engines: cosine similarities of their embeddings, and their alternating times."""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from app.model.engines import Engine, Floats

BATCH = 8
Encode = Callable[[Floats], Floats]


def cosines(one: Floats, other: Floats) -> Floats:
    """Return the cosines (N,) of corresponding vectors (N, D); zeros if shapes differ or a number is not finite."""
    if one.shape != other.shape or not np.isfinite(one).all():
        return np.zeros(len(other), np.float32)
    a, b = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found: Floats = (a * b).sum(axis=1) / np.maximum(lengths, 1e-12)
    return found


def encode_all(encode: Encode, pixels: Floats) -> Floats:
    """Encode pictures (N, 3, S, S) to embeddings (N, D): the first alone, then in batches."""
    parts = [pixels[:1], *(pixels[start : start + BATCH] for start in range(1, len(pixels), BATCH))]
    return np.concatenate([encode(part) for part in parts])


def milliseconds(
    engines: Mapping[str, Engine], pixels: Floats, turns: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median milliseconds of each engine's call for the pictures (N, 3, S, S); calls alternate.

    So a drifting processor speed affects all alike. Two calls of each come first, to compile kernels.
    """
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(turns + 2):
        for name, engine in engines.items():
            start = clock()
            engine.encode_pixels(pixels)
            if turn >= 2:
                taken[name].append(1000 * (clock() - start))
    return {name: statistics.median(each) for name, each in taken.items()}
