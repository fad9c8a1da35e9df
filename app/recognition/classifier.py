"""A picture's vector to the probabilities of labels that came with the request.

A label's own probability weighs it against a reference, the cosine at which it is as likely shown as not:
sigmoid(logit_scale x (cosine - reference)). A category is as probable as its best label, however many it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.model.engines import Floats
from app.recognition.zero_shot import softmax


@dataclass(frozen=True)
class Classification:
    """What is to be said of each of N labels, in their order."""

    probabilities: list[float]
    cosines: list[float]
    categories: dict[str, float] | None
    """Each category's probability, in the order in which they came; None without categories."""
    none_of_these: float | None
    """The probability that no label applies; None where it was not asked for."""
    confident: bool


class Classifier:
    """Weighs the labels of one request.

    `label_cosine` is the reference that was fitted on data; without one it is the picture's best cosine with the
    prompts for none of these, unit vectors (B, D), and the margin by which a known picture beats them.
    """

    def __init__(
        self, background: Floats, logit_scale: float, label_cosine: float | None, known_margin: float | None
    ) -> None:
        self._background = background
        self._logit_scale = logit_scale
        self._label_cosine = label_cosine
        self._margin = known_margin or 0.0

    def classify(
        self,
        picture: Floats,
        prompts: Floats,
        categories: Sequence[str] | None = None,
        *,
        independent: bool = False,
        none_of_these: bool = False,
        threshold: float = 0.8,
    ) -> Classification:
        """The answer for a picture's unit vector (D,) and the unit vectors (N, D) of N >= 1 prompts.

        Exclusive probabilities are a softmax over the labels; with `none_of_these` that takes its share first.
        Independent ones are each label's own. Confident when the best label, or category, exceeds `threshold`; an
        exclusive choice from one alone is no choice, and never confident.
        """
        cosines = prompts @ picture  # (N, D) @ (D,) -> (N,)
        names, best = best_of(categories, cosines) if categories else ([], cosines)  # (C,)
        none = 1 - self._own(picture, cosines).max() if none_of_these else 0.0

        def weigh(each: Floats) -> npt.NDArray[np.float64]:
            if independent:
                return self._own(picture, each)
            shares: npt.NDArray[np.float64] = (1 - none) * softmax(np.float32(self._logit_scale) * each)
            return shares

        labels, choices = weigh(cosines), weigh(best)  # (N,), (C,)
        alone = len(choices) == 1 and not independent and not none_of_these
        return Classification(
            probabilities=labels.tolist(),
            cosines=cosines.tolist(),
            categories=dict(zip(names, choices.tolist(), strict=True)) if categories else None,
            none_of_these=float(none) if none_of_these else None,
            confident=not alone and bool(choices.max() > threshold),
        )

    def _own(self, picture: Floats, cosines: Floats) -> npt.NDArray[np.float64]:
        """The probability of each of N labels by itself, whatever the others are: (N,) cosines to (N,)."""
        reference = self._label_cosine
        if reference is None:
            reference = (self._background @ picture).max() + self._margin
        logits = self._logit_scale * (cosines.astype(np.float64) - reference)
        own: npt.NDArray[np.float64] = 1 / (1 + np.exp(-logits))
        return own


def best_of(categories: Sequence[str], cosines: Floats) -> tuple[list[str], Floats]:
    """The C categories in the order in which they come first, and the best cosine (C,) of each one's labels.

    >>> names, best = best_of(["fruit", "tool", "fruit"], np.float32([0.25, 0.5, 0.75]))
    >>> names, best.tolist()
    (['fruit', 'tool'], [0.75, 0.5])
    """
    names = list(dict.fromkeys(categories))
    places = {name: place for place, name in enumerate(names)}
    best = np.full(len(names), -np.inf, np.float32)
    np.maximum.at(best, [places[category] for category in categories], cosines)
    return names, best
