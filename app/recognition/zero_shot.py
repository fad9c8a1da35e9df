"""Zero-shot recognition among the live labels: cosine, softmax over all labels, the best k, how sure, known or not.

picture (D,)  .  prototypes (N, D)  ->  cosines (N,)  ->  probabilities (N,)  ->  the best k
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import InvalidLabels, Starting
from app.model.engines import Floats
from app.recognition.few_shot import FewShotIndex
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet, Vocabulary


@dataclass(frozen=True)
class Ranking:
    """The best k labels of a picture, best first."""

    indices: list[int]
    cosines: list[float]
    probabilities: list[float]
    """softmax over all labels."""
    scores: list[float]
    """The probabilities of the best k, renormalised to sum to 1."""
    confident: bool
    best_named: float
    """The best cosine with a label's names, lowered where its examples disagree: what `known` is judged by."""
    evidence: float = 0.0
    """The log of the sum of exp(logit_scale x cosine) over the labels' names: what the softmax divides by."""
    categories: Sequence[tuple[float, bool]] = ()
    """For each level of the categories, the widest first: the best label's probability there and whether it is sure."""
    calibrated_probability: float | None = None
    """The best label's probability by a temperature that was fitted on data; None without one."""


def softmax(logits: Floats | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities (..., N) of logits (..., N)."""
    powers: npt.NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def log_sum_exp(logits: npt.NDArray[np.floating[Any]], axis: int = -1) -> npt.NDArray[np.float64]:
    """The logarithm of the sum of exp of logits (..., N), N >= 1; no term overflows.

    >>> round(float(log_sum_exp(np.float32([1000, 1000]))), 3)
    1000.693
    """
    most = logits.max(axis=axis, keepdims=True).astype(np.float64)
    total: npt.NDArray[np.float64] = np.log(np.exp(logits - most).sum(axis=axis)) + most.squeeze(axis)
    return total


def rank(
    picture: Floats,
    prototypes: Floats,
    *,
    logit_scale: float,
    top_k: int,
    threshold: float,
    temperature: float | None = None,
    few_shot: FewShotIndex | None = None,
    levels: Sequence[npt.NDArray[np.int64]] = (),
) -> Ranking:
    """The best `top_k` of N >= 1 labels for a picture's unit vector (D,), given unit prototypes (N, D).

    Confident when the first of the best k, renormalised among them, exceeds `threshold`. One label alone is never
    confident, and neither is a k of 1 by itself: there the runner-up still counts. `temperature` divides the logits for
    the calibrated probability alone. `few_shot` raises the cosines of labels that have examples. At each of `levels` a
    category is as probable as its best label, and sure by the rule for labels.

    >>> picture, prototypes = np.float32([1, 0]), np.float32([[0, 1], [1, 0], [-1, 0]])
    >>> ranking = rank(picture, prototypes, logit_scale=1.0, top_k=2, threshold=0.8)
    >>> ranking.indices, ranking.cosines, [round(score, 2) for score in ranking.scores], ranking.confident
    ([1, 0], [1.0, 0.0], [0.73, 0.27], False)
    """
    named = prototypes @ picture  # (N, D) @ (D,) -> (N,)
    cosines = few_shot.adjusted_similarities(named, picture) if few_shot else named
    names = few_shot.names_as_evidence(named, picture) if few_shot else named
    probabilities = softmax(np.float32(logit_scale) * cosines)  # (N,)
    order = best_indices(cosines, max(top_k, 2))
    best = order[:top_k]
    rivals = probabilities[order]
    calibrated = softmax(np.float32(logit_scale / temperature) * cosines).max() if temperature else None
    return Ranking(
        indices=best.tolist(),
        cosines=cosines[best].tolist(),
        probabilities=probabilities[best].tolist(),
        scores=(probabilities[best] / probabilities[best].sum()).tolist(),
        confident=len(prototypes) > 1 and bool(rivals[0] / rivals.sum() > threshold),
        best_named=float(names.max()),
        categories=[_category(level, logit_scale * cosines, best[0], top_k, threshold) for level in levels],
        evidence=float(log_sum_exp(np.float32(logit_scale) * named)),
        calibrated_probability=None if calibrated is None else float(calibrated),
    )


def _category(
    numbers: npt.NDArray[np.int64], logits: Floats, label: int, top_k: int, threshold: float
) -> tuple[float, bool]:
    """The probability of a label's category among those of N labels, `numbers` (N,), and whether that is sure."""
    best = np.full(numbers.max() + 1, -np.inf)
    np.maximum.at(best, numbers, logits)
    probabilities = softmax(best)  # (C,)
    own = probabilities[numbers[label]]
    rivals = np.sort(probabilities)[-max(top_k, 2) :]
    return float(own), len(best) > 1 and bool(own / rivals.sum() > threshold)


def best_indices(cosines: Floats, k: int) -> npt.NDArray[np.int64]:
    """The indices of the best k of N cosines (N,), best first; equal ones stay in their order.

    >>> best_indices(np.float32([0.5, 0.25, 0.75, 0.5]), 2).tolist()
    [2, 0]
    """
    if k < len(cosines):  # a partial sort: among thousands of labels a whole one takes milliseconds
        least = np.partition(cosines, -k)[-k]
        candidates = np.flatnonzero(cosines >= least)  # more than k where several are equal to the least
    else:
        candidates = np.arange(len(cosines))
    return candidates[np.argsort(-cosines[candidates], kind="stable")[:k]]


def is_known(picture: Floats, best_cosine: float, background: Floats, margin: float) -> bool:
    """Open-set recognition: whether a picture (D,) shows any of the labels, or is out-of-distribution.

    It is known when its cosine similarity to the best label exceeds that to every background prompt (B, D) by `margin`.
    """
    return bool(best_cosine - (background @ picture).max(initial=-1) > margin)


def is_known_by_words(picture: Floats, evidence: float, background: Floats, logit_scale: float) -> bool:
    """Whether the labels take more than half of a softmax over them and a background (B, D); `evidence` is theirs."""
    return not len(background) or bool(evidence > log_sum_exp(np.float32(logit_scale) * (background @ picture)))


@dataclass(frozen=True)
class Recognition:
    """The best labels of a picture, best first, and what is to be said of them."""

    labels: Sequence[Label]
    ranking: Ranking
    known: bool | None
    """Whether the picture shows any of the labels; None where there is no background to tell by."""
    label_count: int
    unknown_counts: bool = False
    """Whether a confident answer may be acted upon although it is not known, as older clients expect."""

    @property
    def label(self) -> Label:
        """The best label."""
        return self.labels[0]

    @property
    def item(self) -> str:
        """The name of the best label."""
        return self.label.name

    @property
    def category(self) -> tuple[str, float] | None:
        """The best label's narrowest category and its probability; None where it has none."""
        kinds = self.label.categories
        return (kinds[0], self.ranking.categories[len(kinds) - 1][0]) if kinds else None

    @property
    def confident_category(self) -> str | None:
        """The narrowest of the best label's categories that is sure; None where none is."""
        kinds = self.label.categories
        levels = range(len(kinds) - 1, -1, -1)  # narrowest first, as the categories of a label
        return next(
            (kind for kind, level in zip(kinds, levels, strict=True) if self.ranking.categories[level][1]), None
        )

    @property
    def sure(self) -> bool:
        """Whether it may be acted upon: confident, and not of something unknown."""
        return self.ranking.confident and (self.unknown_counts or self.known is not False)

    @property
    def unsure(self) -> str:
        """Why it must not be acted upon; empty if it may."""
        if not self.ranking.confident:
            return f"the answer is not confident: {self.ranking.scores[0]:.2f} for {self.item!r}"
        return "" if self.sure else "the picture shows none of the labels (known: false)"


class Recogniser:
    """Ranks the labels of a vocabulary, or of a label set that does not change, for a picture.

    `known_margin` is the calibrated margin by which the best label must beat the set's rivals; where it is None, the
    labels must take more than half of a softmax over them and the rivals. `temperature` is what calibrated
    probabilities divide the logits by (None: not calibrated), `unknown_counts` whether what is not known may be acted
    upon.
    """

    def __init__(
        self,
        labels: Vocabulary | LabelSet,
        logit_scale: float,
        known_margin: float | None,
        temperature: float | None = None,
        unknown_counts: bool = False,
    ) -> None:
        self._labels = labels
        self.logit_scale = logit_scale
        self.known_margin = known_margin
        self._temperature = temperature
        self._unknown_counts = unknown_counts

    @property
    def label_set(self) -> LabelSet:
        """The labels of this moment; raises Starting while the first ones are being encoded."""
        label_set = self._labels.current
        if label_set is None:
            raise Starting("the labels are still being encoded")
        return label_set

    def recognise(self, picture: Floats, *, top_k: int, threshold: float) -> Recognition:
        """The answer for a picture's unit vector (D,); raises InvalidLabels when there are no labels."""
        label_set = self.label_set
        if not label_set.labels:
            raise InvalidLabels("there are no labels: add lines to the label file or items to the pantry")
        ranking = rank(
            picture,
            label_set.prototypes,
            logit_scale=self.logit_scale,
            top_k=top_k,
            threshold=threshold,
            temperature=self._temperature,
            few_shot=label_set.few_shot,
            levels=label_set.levels,
        )
        labels = [label_set.labels[index] for index in ranking.indices]
        known = self._known(picture, ranking, label_set)
        return Recognition(labels, ranking, known, len(label_set.labels), self._unknown_counts)

    def _known(self, picture: Floats, ranking: Ranking, label_set: LabelSet) -> bool | None:
        rivals, few_shot = label_set.rivals, label_set.few_shot
        if rivals is None:
            return None
        if self.known_margin is None:
            known = is_known_by_words(picture, ranking.evidence, rivals, self.logit_scale)
        else:
            known = is_known(picture, ranking.best_named, rivals, self.known_margin)
        return known or (few_shot is not None and few_shot.is_known(picture))
