"""Several frames of one thing to one answer: pool the embeddings without the outliers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.model.encoder import unit
from app.model.engines import Floats
from app.recognition.zero_shot import Recognition

OUTLIER_RATIO = 0.75  # a frame whose cosine with the central one is below this times the typical one is an outlier
MAJORITY = 0.5  # the answer is confident only when a larger share of the frames shows the item by itself


@dataclass(frozen=True)
class Agreement:
    """How far the frames of one thing agree."""

    used: list[bool]
    """Which frames count; outliers do not."""
    share: float
    """The share of all frames that show the item by themselves."""


def recognise_frames(
    frames: Sequence[Floats], recognise: Callable[[Floats], Recognition]
) -> tuple[Recognition, Agreement]:
    """The answer for the unit vectors (D,) of two frames or more; confident only where most of them agree."""
    vector, used = pool_frames(frames)
    found = recognise(vector)
    share = float(np.mean([recognise(frame).item == found.item for frame in frames]))
    confident = found.ranking.confident and share > MAJORITY
    return replace(found, ranking=replace(found.ranking, confident=confident)), Agreement(used, share)


def pool_frames(frames: Sequence[Floats]) -> tuple[Floats, list[bool]]:
    """The unit mean (D,) of the embeddings (D,) of two frames or more without the outliers, and which frames count.

    The central frame has the largest mean cosine with the others. Its typical similarity is that with the more similar
    half of them.

    >>> pool_frames([np.float32([1, 0]), np.float32([0.96, 0.28]), np.float32([0, 1])])[1]
    [True, True, False]
    """
    vectors = np.stack(frames)  # (N, D)
    cosines = vectors @ vectors.T  # (N, N)
    central = cosines[cosines.sum(axis=1).argmax()]  # (N,) cosines with the central frame
    typical_similarity = np.sort(central)[::-1][1 : len(central) // 2 + 1].mean()  # without itself, which comes first
    used = central >= OUTLIER_RATIO * typical_similarity
    return unit(vectors[used].mean(axis=0)), used.tolist()
