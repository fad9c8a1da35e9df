"""Uncertainty sampling (active learning): which pictures to label first, so that few labels teach most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.model.engines import Floats
from app.recognition.zero_shot import Recogniser, Recognition, softmax

THRESHOLD = 0.8  # of confident answers, as a request has it by default
AT_ONCE = 64  # pictures, each with a row of numbers for all labels


Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Uncertain:
    """A picture, by its place among those that were looked at, and how it is recognised now."""

    place: int
    recognition: Recognition
    entropy: float
    """Of the probabilities of all labels, as a share of the most there can be: 0 is certain, 1 a mere guess."""


def by_uncertainty(pictures: Sequence[Floats], recogniser: Recogniser, top_k: int) -> list[Uncertain]:
    """Recognise pictures (D,) again, and order them by the entropy of the answer, the largest first.

    Those that are confident and known by now are left out: what was taught in the meantime has settled them.
    docs/decisions/0038-review.md has what entropy was compared with.
    """
    recognitions = [recogniser.recognise(picture, top_k=top_k, threshold=THRESHOLD) for picture in pictures]
    unsure = [place for place, each in enumerate(recognitions) if not each.ranking.confident or each.known is False]
    found = []
    for start in range(0, len(unsure), AT_ONCE):
        rows = unsure[start : start + AT_ONCE]
        entropies = entropy(label_probabilities(np.stack([pictures[row] for row in rows]), recogniser))
        found += [Uncertain(row, recognitions[row], float(each)) for row, each in zip(rows, entropies, strict=True)]
    return sorted(found, key=lambda each: -each.entropy)


def label_probabilities(pictures: Floats, recogniser: Recogniser) -> Probabilities:
    """The probabilities (B, N) of all labels for pictures (B, D), as `recognise` has them for one."""
    label_set = recogniser.label_set
    cosines = pictures @ label_set.prototypes.T  # (B, N)
    if label_set.few_shot:
        cosines = label_set.few_shot.adjusted_similarities(cosines, pictures)
    return softmax(np.float32(recogniser.logit_scale) * cosines)


def entropy(probabilities: Probabilities) -> Probabilities:
    """The entropies (B,) of probabilities (B, N), as shares of the most there can be.

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    logarithms = np.log(np.maximum(probabilities, 1e-300))
    found: Probabilities = abs((probabilities * logarithms).sum(axis=1)) / np.log(max(2, probabilities.shape[1]))
    return found
