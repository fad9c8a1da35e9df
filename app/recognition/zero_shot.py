"""Zero-shot recognition among the live labels: cosine similarity, softmax, top k, confidence, open-set recognition.

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
    """Softmax over all labels."""
    scores: list[float]
    """The probabilities of the best k, renormalised to sum to 1."""
    confident: bool
    best_named: float
    """The best cosine similarity to a label's names, lowered where its examples disagree; `known` is judged by it."""
    evidence: float = 0.0
    """Log-sum-exp of logit_scale x cosine over the labels' names: the denominator of the softmax."""
    categories: Sequence[tuple[float, bool]] = ()
    """For each level of the categories, the widest first: the best label's probability there, and its confidence."""
    calibrated_probability: float | None = None
    """The best label's calibrated probability, by a temperature fitted on data; None without one."""


def softmax(logits: Floats | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probabilities (..., N) of logits (..., N)."""
    powers: npt.NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def log_sum_exp(logits: npt.NDArray[np.floating[Any]], axis: int = -1) -> npt.NDArray[np.float64]:
    """Return the logarithm of the sum of exp of logits (..., N), N >= 1, without overflow.

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
    """Return the best `top_k` of N >= 1 labels for a picture's unit vector (D,), given unit prototypes (N, D).

    Confident if the first of the best k, renormalised among them, exceeds `threshold`. A single label is never
    confident, and with k = 1 the runner-up still counts. `temperature` divides the logits for the calibrated
    probability alone. `few_shot` raises the cosines of labels that have examples. At each of `levels` a category has
    the probability of its best label, and is confident by the rule for labels.

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
    """Return the probability of a label's category among those of N labels, `numbers` (N,), and its confidence."""
    best = np.full(numbers.max() + 1, -np.inf)
    np.maximum.at(best, numbers, logits)
    probabilities = softmax(best)  # (C,)
    own = probabilities[numbers[label]]
    rivals = np.sort(probabilities)[-max(top_k, 2) :]
    return float(own), len(best) > 1 and bool(own / rivals.sum() > threshold)


def best_indices(cosines: Floats, k: int) -> npt.NDArray[np.int64]:
    """Return the indices of the best k of N cosines (N,), best first; equal ones stay in their order.

    >>> best_indices(np.float32([0.5, 0.25, 0.75, 0.5]), 2).tolist()
    [2, 0]
    """
    if k < len(cosines):  # a partial sort: a full one takes milliseconds for thousands of labels
        least = np.partition(cosines, -k)[-k]
        candidates = np.flatnonzero(cosines >= least)  # more than k if several equal the least
    else:
        candidates = np.arange(len(cosines))
    return candidates[np.argsort(-cosines[candidates], kind="stable")[:k]]


def is_known(picture: Floats, best_cosine: float, background: Floats, margin: float) -> bool:
    """Open-set recognition: return whether a picture (D,) shows any of the labels, or is out-of-distribution.

    It is known when its cosine similarity to the best label exceeds that to every background prompt (B, D) by `margin`.
    """
    return bool(best_cosine - (background @ picture).max(initial=-1) > margin)


def is_known_by_words(picture: Floats, evidence: float, background: Floats, logit_scale: float) -> bool:
    """Return whether the labels take more than half of a softmax with a background (B, D); `evidence` is theirs."""
    return not len(background) or bool(evidence > log_sum_exp(np.float32(logit_scale) * (background @ picture)))


@dataclass(frozen=True)
class Recognition:
    """The best labels of a picture, best first, with confidence and `known`."""

    labels: Sequence[Label]
    ranking: Ranking
    known: bool | None
    """Whether the picture shows any of the labels; None without a background to compare with."""
    label_count: int
    unknown_counts: bool = False
    """Whether a confident answer may be used although it is not known, as older clients expect."""

    @property
    def label(self) -> Label:
        """Return the best label."""
        return self.labels[0]

    @property
    def item(self) -> str:
        """Return the name of the best label."""
        return self.label.name

    @property
    def category(self) -> tuple[str, float] | None:
        """Return the best label's narrowest category and its probability; None if it has none."""
        kinds = self.label.categories
        return (kinds[0], self.ranking.categories[len(kinds) - 1][0]) if kinds else None

    @property
    def confident_category(self) -> str | None:
        """Return the narrowest confident category of the best label; None if there is none."""
        kinds = self.label.categories
        levels = range(len(kinds) - 1, -1, -1)  # narrowest first, as the categories of a label
        return next(
            (kind for kind, level in zip(kinds, levels, strict=True) if self.ranking.categories[level][1]), None
        )

    @property
    def sure(self) -> bool:
        """Return whether the answer may be used: confident, and not unknown."""
        return self.ranking.confident and (self.unknown_counts or self.known is not False)

    @property
    def unsure(self) -> str:
        """Return why the answer must not be used; empty if it may."""
        if not self.ranking.confident:
            return f"the answer is not confident: {self.ranking.scores[0]:.2f} for {self.item!r}"
        return "" if self.sure else "the picture shows none of the labels (known: false)"


class Recogniser:
    """Ranks the labels of a vocabulary, or of a fixed label set, for a picture.

    `known_margin` is the calibrated margin by which the best label must exceed the background; if it is None, the
    labels must take more than half of a softmax over them and the background. `temperature` divides the logits for
    calibrated probabilities (None: not calibrated). `unknown_counts` tells whether an answer that is not known may be
    used.
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
        """Return the current labels; raises Starting while the first ones are being encoded."""
        label_set = self._labels.current
        if label_set is None:
            raise Starting("the labels are still being encoded")
        return label_set

    def recognise(self, picture: Floats, *, top_k: int, threshold: float) -> Recognition:
        """Recognise a picture's unit vector (D,); raises InvalidLabels if there are no labels."""
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
