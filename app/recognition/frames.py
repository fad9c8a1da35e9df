"""Several pictures of one thing to one answer, without those that show something else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.model.encoder import unit
from app.model.engines import Floats
from app.recognition.recogniser import Recognition

NEAR = 0.75  # of the cosine that is usual among the frames; what is farther from the middle one is left out
MAJORITY = 0.5  # more of the frames have to show the item by themselves, or the answer is not confident


@dataclass(frozen=True)
class Agreement:
    """How far the frames of one thing agree."""

    used: list[bool]
    """Which of them count."""
    share: float
    """Of all frames, those that show the item by themselves."""


def recognise_frames(
    frames: Sequence[Floats], recognise: Callable[[Floats], Recognition]
) -> tuple[Recognition, Agreement]:
    """The answer for the unit vectors (D,) of two frames or more; confident only where most of them agree."""
    vector, used = combine(frames)
    found = recognise(vector)
    share = float(np.mean([recognise(frame).item == found.item for frame in frames]))
    confident = found.ranking.confident and share > MAJORITY
    return replace(found, ranking=replace(found.ranking, confident=confident)), Agreement(used, share)


def combine(frames: Sequence[Floats]) -> tuple[Floats, list[bool]]:
    """Unit vectors (D,) of two frames or more to the unit mean of those that count, and which do.

    The middle frame is the one that the others are nearest to; frames far from it, as the better half of them goes,
    are left out.

    >>> combine([np.float32([1, 0]), np.float32([0.96, 0.28]), np.float32([0, 1])])[1]
    [True, True, False]
    """
    vectors = np.stack(frames)  # (N, D)
    cosines = vectors @ vectors.T  # (N, N)
    near = cosines[cosines.sum(axis=1).argmax()]  # (N,) to the middle frame
    usual = np.sort(near)[::-1][1 : len(near) // 2 + 1].mean()  # of the better half, itself left out
    used = near >= NEAR * usual
    return unit(vectors[used].mean(axis=0)), used.tolist()
