"""Random vectors to search among, distributed like CLIP's."""

from collections.abc import Iterator

import numpy as np

from app.model.encoder import unit
from app.model.engines import Floats

FILES = ("cifar10/train.parquet", "cifar10/test.parquet", "grocery/train.parquet", "grocery/val.parquet")
AT_A_TIME = 64
A_CHUNK = 20_000


def drawn_vectors(count: int, size: int = 512) -> Floats:
    """Return the unit vectors (count, size) of `drawn_chunks` in one array."""
    return np.concatenate(list(drawn_chunks(count, size)))


def drawn_chunks(count: int, size: int = 512) -> Iterator[Floats]:
    """Yield unit vectors (n, size), `count` in all, distributed like CLIP's.

    They form a narrow cone, with 4,000 clusters in 200 groups, and vary mostly in 64 directions. Independent vectors
    would not exercise an index: they have no neighbours to find.
    """
    rng = np.random.default_rng(0)
    falling = (np.arange(1, 65) ** -0.5).astype(np.float32)
    directions = np.linalg.qr(rng.normal(size=(size, 64)))[0].T.astype(np.float32)  # (64, size)
    cone = 2 * unit(rng.normal(size=size).astype(np.float32))
    groups = _normal(rng, 200, 64) * falling
    clusters = groups[rng.integers(0, 200, 4000)] + 0.6 * _normal(rng, 4000, 64) * falling
    for start in range(0, count, A_CHUNK):
        rows = min(A_CHUNK, count - start)
        inner = clusters[rng.integers(0, 4000, rows)] + 0.4 * _normal(rng, rows, 64) * falling
        yield unit(cone + inner @ directions + 0.5 * size**-0.5 * _normal(rng, rows, size))


def _normal(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    return rng.standard_normal((rows, columns), dtype=np.float32)
