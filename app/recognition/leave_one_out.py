"""Leave-one-out report on few-shot labels: how each example is recognised without itself, and which ones mislead."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from app.model.encoder import unit
from app.model.engines import Floats
from app.pantry.examples import Example
from app.recognition.few_shot import Compared, FewShotIndex
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import softmax
from app.text import normalise

BLOCK = 64  # examples compared with all labels at once
LOOK_ALIKE = 0.8  # similarity; of groceries whose nearest is that near, 7 of 11 pairs are confused, of others 3 of 31
MOST_CANDIDATES = 50  # examples whose removal is tried
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ItemReport:
    """A taught item; `right` of its examples are recognised by the others, None if there is only one."""

    item: str
    examples: int
    right: int | None


@dataclass(frozen=True)
class LookAlike:
    """Two labels that are near each other, by their examples, or by their names if they have none."""

    item: str
    other: str
    similarity: float


@dataclass(frozen=True)
class Misleading:
    """An example that all others take for another item, or that makes others be taken for its own."""

    item: str
    id: str
    looks_like: str
    probability: float
    """The probability of its own item, without it."""
    improves: int
    """The number of other examples that are recognised only without it, minus those recognised only with it."""


@dataclass(frozen=True)
class TeachingReport:
    """How well the taught items are told apart."""

    items: Sequence[ItemReport]
    confusions: Mapping[tuple[str, str], int]
    """How many examples of one item are taken for another, most first."""
    look_alike: Sequence[LookAlike]
    """Most similar first."""
    misleading: Sequence[Misleading]
    """Those whose removal improves most first."""


def report(examples: Sequence[Example], labels: LabelSet, logit_scale: float) -> TeachingReport:
    """Judge the examples of the served model by leave-one-out, with the few-shot index that serves."""
    known = [(index, each) for each in examples if (index := labels.indices.get(normalise(each.item))) is not None]
    if not known or labels.few_shot is None:
        return TeachingReport([], {}, [], [])
    known.sort(key=lambda pair: pair[0])
    own = np.array([index for index, _ in known])
    judged = _Judged([each for _, each in known], own, labels, labels.few_shot, logit_scale)
    return TeachingReport(judged.items(), judged.confusions(), judged.look_alike(), judged.misleading())


class _Judged:
    """The examples (M,), grouped by label, and how each is recognised without itself."""

    def __init__(
        self, examples: Sequence[Example], own: Numbers, labels: LabelSet, few_shot: FewShotIndex, logit_scale: float
    ) -> None:
        self._examples = examples
        self._labels = labels
        self._own = own  # (M,) labels
        self._vectors = np.stack([each.vector for each in examples])  # (M, D)
        self._taught, starts, self._counts = np.unique(own, return_index=True, return_counts=True)  # (K,)
        self._rows = dict(zip(self._taught.tolist(), np.split(np.arange(len(own)), starts[1:]), strict=True))
        self._has_others = np.repeat(self._counts > 1, self._counts)  # (M,)
        self._index = few_shot.over(self._taught, few_shot.aligned(self._vectors), self._counts)
        self._judge(logit_scale)

    def _judge(self, logit_scale: float) -> None:
        """Find the best and the second label of each example (M,), and the probability of its own."""
        blocks = [np.arange(start, min(start + BLOCK, len(self._own))) for start in range(0, len(self._own), BLOCK)]
        self._compared = _joined([self._index.compare(self._named(rows), self._vectors[rows]) for rows in blocks])
        by_others = np.concatenate([self._by_others(label, rows) for label, rows in self._rows.items()])  # (M,)
        found = []
        for rows in blocks:
            cosines, places = self._named(rows), np.arange(len(rows))  # (B, N)
            by_examples = self._index.by_examples(self._compared[rows])  # (B, K)
            cosines[:, self._taught] = np.maximum(cosines[:, self._taught], by_examples)
            cosines[places, self._own[rows]] = by_others[rows]
            probability = softmax(np.float32(logit_scale) * cosines)[places, self._own[rows]]
            best, best_cosine = cosines.argmax(axis=1), cosines.max(axis=1)
            cosines[places, best] = -np.inf
            found.append((best, best_cosine, cosines.argmax(axis=1), cosines.max(axis=1), probability))
        joined = (np.concatenate(each) for each in zip(*found, strict=True))
        self._best, self._best_cosine, self._second, self._second_cosine, self._probability = joined

    def _named(self, rows: Numbers) -> Floats:
        """Return the cosine similarities (n, N) of some examples to the labels' names."""
        cosines: Floats = self._vectors[rows] @ self._labels.prototypes.T
        return cosines

    def _by_others(self, label: int, rows: Numbers) -> Floats:
        """Return the cosine similarities (n,) of a label's examples to it: by the name, or by all others of them."""
        named: Floats = self._vectors[rows] @ self._labels.prototypes[label]
        return np.maximum(named, self._index.left_out(self._compared[rows])) if len(rows) > 1 else named

    def _without(self, row: int) -> Floats:
        """Return the cosine similarities (M,) of all examples to one example's label without that example."""
        label = int(self._own[row])
        rest = self._rows[label][self._rows[label] != row]
        cosines: Floats = self._vectors @ self._labels.prototypes[label]
        if len(rest):
            alone = self._index.over(np.array([label]), self._compared.aligned[rest], np.array([len(rest)]))
            cosines = np.maximum(cosines, alone.by_examples(self._compared)[:, 0])
            cosines[rest] = self._by_others(label, rest)
        return cosines

    def items(self) -> list[ItemReport]:
        """Return each item, in the order of the labels."""
        right = self._best == self._own
        return [
            ItemReport(self._name(label), len(rows), int(right[rows].sum()) if len(rows) > 1 else None)
            for label, rows in self._rows.items()
        ]

    def confusions(self) -> dict[tuple[str, str], int]:
        """Count confusions of items with two or more examples."""
        wrong = np.flatnonzero((self._best != self._own) & self._has_others)
        counted = Counter((self._name(self._own[row]), self._name(self._best[row])) for row in wrong)
        return dict(counted.most_common())

    def look_alike(self) -> list[LookAlike]:
        """Pair each item with the label nearest to the mean of its examples; each pair once."""
        means = unit(np.add.reduceat(self._compared.aligned, np.cumsum([0, *self._counts[:-1]])))  # (K, E)
        found: dict[tuple[int, int], float] = {}
        for start in range(0, len(means), BLOCK):
            block = means[start : start + BLOCK]
            near = block @ self._index.texts.T  # (B, N)
            near[:, self._taught] = block @ means.T
            own = self._taught[start : start + BLOCK]
            near[np.arange(len(block)), own] = -np.inf
            for label, other, similarity in zip(own, near.argmax(axis=1), near.max(axis=1), strict=True):
                if similarity > LOOK_ALIKE:
                    pair = (int(min(label, other)), int(max(label, other)))
                    found[pair] = max(found.get(pair, 0.0), min(1.0, float(similarity)))
        pairs = sorted(found.items(), key=lambda pair: -pair[1])
        return [LookAlike(self._name(a), self._name(b), similarity) for (a, b), similarity in pairs]

    def misleading(self) -> list[Misleading]:
        """Return the misleading among the MOST_CANDIDATES examples with the least evidence from their item.

        The only example of an item is judged by its effect on others alone.
        """
        wrong = self._best != self._own
        draws = np.isin(self._own, self._best[wrong & self._has_others])
        candidates = np.flatnonzero(np.where(self._has_others, wrong, draws))
        candidates = candidates[np.argsort(self._probability[candidates], kind="stable")][:MOST_CANDIDATES]
        found = []
        for row in candidates.tolist():
            improves = self._improvement(row)
            if self._has_others[row] or improves > 0:
                item, looks_like = self._name(self._own[row]), self._name(self._best[row])
                probability = float(self._probability[row])
                found.append(Misleading(item, self._examples[row].id, looks_like, probability, improves))
        return sorted(found, key=lambda each: (-each.improves, each.probability))

    def _improvement(self, row: int) -> int:
        """Return how many more of the other examples would be right without this one."""
        label, cosines = self._own[row], self._without(row)  # (M,)
        leads = self._best == label
        rival_cosine = np.where(leads, self._second_cosine, self._best_cosine)
        after = np.where(cosines > rival_cosine, label, np.where(leads, self._second, self._best))
        change = (after == self._own).astype(int) - (self._best == self._own)
        change[row] = 0
        return int(change[self._has_others].sum())

    def _name(self, label: int) -> str:
        found = self._labels.labels[label]
        return found.item or found.name


def _joined(parts: Sequence[Compared]) -> Compared:
    return Compared(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Compared)))
