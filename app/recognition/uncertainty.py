"""Uncertainty sampling (active learning): choose the pictures to label first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.model.engines import Floats
from app.recognition.zero_shot import Recogniser, Recognition, softmax

THRESHOLD = 0.8  # of confident answers, the default of a request
AT_ONCE = 64  # pictures at once; each has a probability per label


Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Uncertain:
    """A picture, by its index, and how it is recognised now."""

    place: int
    recognition: Recognition
    entropy: float
    """Normalised entropy of the probabilities of all labels: 0 is certain, 1 is uniform."""


def by_uncertainty(pictures: Sequence[Floats], recogniser: Recogniser, top_k: int) -> list[Uncertain]:
    """Recognise pictures (D,) again, and sort them by the entropy of the answer, the largest first.

    Leaves out pictures that are confident and known by now, because of what was taught meanwhile.
    docs/decisions/0038-review.md compares entropy with alternatives.
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
    """Return the probabilities (B, N) of all labels for pictures (B, D), as `recognise` computes them for one."""
    label_set = recogniser.label_set
    cosines = pictures @ label_set.prototypes.T  # (B, N)
    if label_set.few_shot:
        cosines = label_set.few_shot.adjusted_similarities(cosines, pictures)
    return softmax(np.float32(recogniser.logit_scale) * cosines)


def entropy(probabilities: Probabilities) -> Probabilities:
    """Return the entropies (B,) of probabilities (B, N), normalised by the maximum.

    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    logarithms = np.log(np.maximum(probabilities, 1e-300))
    found: Probabilities = abs((probabilities * logarithms).sum(axis=1)) / np.log(max(2, probabilities.shape[1]))
    return found
