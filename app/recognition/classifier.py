"""Classify an embedding among labels that came with the request.

A label's own probability compares it with a reference, the cosine similarity at which it is as likely shown as not:
sigmoid(logit_scale x (cosine - reference)). A category has the probability of its best label, however many it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.model.engines import Floats
from app.recognition.background import Background
from app.recognition.zero_shot import log_sum_exp, softmax

_LABELS_A_TURN = 64  # bounds the memory of one comparison with the background


@dataclass(frozen=True)
class Classification:
    """The result for each of N labels, in their order."""

    probabilities: list[float]
    cosines: list[float]
    categories: dict[str, float] | None
    """Each category's probability, in order of appearance; None without categories."""
    none_of_these: float | None
    """The probability that no label applies; None if it was not requested."""
    confident: bool


class Classifier:
    """Computes the probabilities of one request's labels.

    `label_cosine` is the reference that was fitted on data, or follows from a sigmoid model's bias. Without one, and
    without a margin of `known`, a label's probability is its share of a softmax over it and the background that is not
    near it. With only a margin, the reference is the picture's best cosine similarity to the background, plus that
    margin.
    """

    def __init__(
        self, background: Background, logit_scale: float, label_cosine: float | None, known_margin: float | None
    ) -> None:
        self._background = background
        self._logit_scale = logit_scale
        self._label_cosine = label_cosine
        self._margin = known_margin

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
        """Classify a picture's unit vector (D,) among the unit vectors (N, D) of N >= 1 prompts.

        Exclusive probabilities are a softmax over the labels; with `none_of_these` that takes its share first.
        Independent ones are each label's own. Confident if the best label, or category, exceeds `threshold`; an
        exclusive choice among a single one is never confident.
        """
        cosines = prompts @ picture  # (N, D) @ (D,) -> (N,)
        logits = self._logit_scale * cosines.astype(np.float64)
        own = logits - self._references(picture, prompts) if independent or none_of_these else logits
        none = 1 - float(sigmoid(own.max())) if none_of_these else 0.0
        shown = own if independent else logits
        names, best = best_of(categories, shown) if categories else ([], shown)  # (C,)

        def weigh(each: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return sigmoid(each) if independent else (1 - none) * softmax(each)

        choices = weigh(best)  # (C,)
        alone = len(choices) == 1 and not independent and not none_of_these
        return Classification(
            probabilities=weigh(shown).tolist(),
            cosines=cosines.tolist(),
            categories=dict(zip(names, choices.tolist(), strict=True)) if categories else None,
            none_of_these=none if none_of_these else None,
            confident=not alone and bool(choices.max() > threshold),
        )

    def _references(self, picture: Floats, prompts: Floats) -> npt.NDArray[np.float64] | float:
        """Return the logit, for each of N labels or for all, at which a label is as likely shown as not."""
        if self._label_cosine is not None:
            return self._logit_scale * self._label_cosine
        logits = self._logit_scale * (self._background.embeddings @ picture)  # (B, D) @ (D,) -> (B,)
        if self._margin is not None:
            return float(logits.max()) + self._logit_scale * self._margin
        parts = []
        for start in range(0, len(prompts), _LABELS_A_TURN):
            beside = self._background.beside_each(prompts[start : start + _LABELS_A_TURN])  # (B, up to 64)
            parts.append(log_sum_exp(np.where(beside, logits[:, None], -np.inf), axis=0))
        return np.concatenate(parts)


def sigmoid(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the independent probabilities of logits."""
    probabilities: npt.NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probabilities


def best_of(categories: Sequence[str], logits: npt.NDArray[np.float64]) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Return the C categories in order of appearance, and the best logit (C,) of each one's labels.

    >>> names, best = best_of(["fruit", "tool", "fruit"], np.array([0.25, 0.5, 0.75]))
    >>> names, best.tolist()
    (['fruit', 'tool'], [0.75, 0.5])
    """
    names = list(dict.fromkeys(categories))
    places = {name: place for place, name in enumerate(names)}
    best = np.full(len(names), -np.inf)
    np.maximum.at(best, [places[category] for category in categories], logits)
    return names, best
