"""Recognise several frames of one thing: pool the embeddings without outliers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.model.encoder import unit
from app.model.engines import Floats
from app.recognition.zero_shot import Recognition

OUTLIER_RATIO = 0.75  # a frame whose cosine with the central one is below this times the typical one is an outlier
MAJORITY = 0.5  # the answer is confident only if a larger share of the frames shows the item on its own


@dataclass(frozen=True)
class Agreement:
    """How far the frames of one thing agree."""

    used: list[bool]
    """Which frames count: all but outliers."""
    share: float
    """The share of all frames that show the item on their own."""


def recognise_frames(
    frames: Sequence[Floats], recognise: Callable[[Floats], Recognition]
) -> tuple[Recognition, Agreement]:
    """Recognise the unit vectors (D,) of two or more frames; confident only if most of them agree."""
    vector, used = pool_frames(frames)
    found = recognise(vector)
    share = float(np.mean([recognise(frame).item == found.item for frame in frames]))
    confident = found.ranking.confident and share > MAJORITY
    return replace(found, ranking=replace(found.ranking, confident=confident)), Agreement(used, share)


def pool_frames(frames: Sequence[Floats]) -> tuple[Floats, list[bool]]:
    """Return the unit mean (D,) of two or more embeddings (D,) without outliers, and which frames count.

    The central frame has the largest mean cosine similarity to the others. Its typical similarity is that to the more
    similar half of them.

    >>> pool_frames([np.float32([1, 0]), np.float32([0.96, 0.28]), np.float32([0, 1])])[1]
    [True, True, False]
    """
    vectors = np.stack(frames)  # (N, D)
    cosines = vectors @ vectors.T  # (N, N)
    central = cosines[cosines.sum(axis=1).argmax()]  # (N,) cosines with the central frame
    typical_similarity = np.sort(central)[::-1][1 : len(central) // 2 + 1].mean()  # without itself, which comes first
    used = central >= OUTLIER_RATIO * typical_similarity
    return unit(vectors[used].mean(axis=0)), used.tolist()
