"""The command `review`: measure how many labels the orders of the review queue need (active learning).

Some classes are unknown until a picture of them is labelled. Pictures without a confident answer form the queue; the
first in the order is labelled, which teaches it, and the queue is recognised again.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.evaluation.data import Numbers, read_classes, read_pictures
from app.evaluation.model import open_measured
from app.evaluation.several import LONGEST, recogniser_of
from app.model.engines import Floats
from app.recognition.few_shot import ImageAlignment, fit_few_shot
from app.recognition.labels import parse_labels
from app.recognition.uncertainty import THRESHOLD, Probabilities, entropy, label_probabilities
from app.recognition.vocabulary import LabelSet, read_prompts
from app.recognition.zero_shot import Recogniser
from app.text import read_text

EVERY = 10  # labels between two measurements
RANDOM = "random"
Order = Callable[[Probabilities, np.random.Generator], Probabilities]


def _margin(probabilities: Probabilities, _: np.random.Generator) -> Probabilities:
    best = -np.partition(-probabilities, 1, axis=1)[:, :2]
    return best[:, 0] - best[:, 1]


ORDERS: dict[str, Order] = {  # sort keys, ascending
    RANDOM: lambda probabilities, rng: rng.random(len(probabilities)),
    "least confidence": lambda probabilities, _: probabilities.max(axis=1),
    "margin": _margin,
    "entropy": lambda probabilities, _: -entropy(probabilities),
}


@dataclass(frozen=True)
class Labelled:
    """Embeddings (N, D) and their class numbers (N,)."""

    vectors: Floats
    labels: Numbers


@dataclass(frozen=True)
class Start:
    """All classes as labels, the alignment for few-shot labels, and a recogniser of them."""

    labels: LabelSet
    alignment: ImageAlignment | None
    recogniser: Recogniser


def run(options: argparse.Namespace, data: Path) -> int:
    """Measure every order on the same draws; returns the exit status."""
    classes = read_classes(options.classes)
    model = open_measured(options.bundle, data)
    labels = parse_labels(read_text(options.labels), LONGEST)[: len(classes)]
    whole = recogniser_of(model, labels, read_prompts(options.templates), read_prompts(options.background))
    start = Start(whole.label_set, ImageAlignment.load(model.bundle.likeness) if model.bundle.likeness else None, whole)

    def read(paths: Sequence[Path], what: str) -> Labelled:
        pictures = read_pictures(paths, classes)
        return Labelled(model.vectors(pictures.files, what), pictures.labels)

    pool = read(options.data, "to label")
    test = read(options.test, "to measure with") if options.test else None
    found: dict[str, list[float]] = {}
    for name, order in ORDERS.items():
        curves = [
            _Draw(start, pool, test, options.new, seed).curve(order, options.most)
            for seed in tqdm(range(options.splits), desc=name, disable=None)
        ]
        found[name] = np.mean(curves, axis=0).tolist()
    print(json.dumps(found) if options.json else table(found))
    return 0


class _Draw:
    """One random draw of the new classes, the pictures to label and the test pictures."""

    def __init__(self, start: Start, pool: Labelled, test: Labelled | None, new: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._start = start
        rows = self._rng.permutation(len(pool.labels))
        kept, rest = (rows, rows) if test else np.array_split(rows, 2)
        self._pool = Labelled(pool.vectors[kept], pool.labels[kept])
        self._test = test or Labelled(pool.vectors[rest], pool.labels[rest])
        count = len(start.labels.labels)
        self._classes: list[int] = np.sort(self._rng.permutation(count)[round(new * count) :]).tolist()  # labels
        self._taught: list[tuple[int, Floats]] = []

    def curve(self, order: Order, most: int) -> list[float]:
        """Return the accuracy after every EVERY labels, up to `most`."""
        accuracies, left = [self._accuracy()], np.arange(len(self._pool.labels))
        for given in range(1, most + 1):
            queue = left[self._unsure(self._pool.vectors[left])]
            if len(queue):
                scores = order(label_probabilities(self._pool.vectors[queue], self._recogniser()), self._rng)
                chosen = int(queue[scores.argmin()])
                left = left[left != chosen]
                self._label(chosen)
            if given % EVERY == 0:
                accuracies.append(self._accuracy())
        return accuracies

    def _label(self, row: int) -> None:
        number = int(self._pool.labels[row])
        if number not in self._classes:
            self._classes.append(number)
        self._taught.append((number, self._pool.vectors[row]))

    def _recogniser(self) -> Recogniser:
        """Build the service's recogniser with the current labels and examples."""
        every = self._start.labels
        prototypes = every.prototypes[self._classes]
        examples = [(self._classes.index(number), vector) for number, vector in self._taught]
        now = replace(
            every,
            labels=tuple(every.labels[number] for number in self._classes),
            prototypes=prototypes,
            few_shot=fit_few_shot(examples, prototypes, self._start.alignment),
            levels=(),
        )
        return Recogniser(now, self._start.recogniser.logit_scale, self._start.recogniser.known_margin)

    def _unsure(self, vectors: Floats) -> list[int]:
        recogniser = self._recogniser()
        answers = [recogniser.recognise(vector, top_k=5, threshold=THRESHOLD) for vector in vectors]
        return [row for row, answer in enumerate(answers) if not answer.ranking.confident or answer.known is False]

    def _accuracy(self) -> float:
        best = label_probabilities(self._test.vectors, self._recogniser()).argmax(axis=1)
        return float((np.array(self._classes)[best] == self._test.labels).mean())


def table(found: dict[str, list[float]]) -> str:
    """Format the accuracies, and the number of labels that each order needs to reach that of random order."""
    count = len(found[RANDOM])
    heads = "".join(f"{each * EVERY:>8}" for each in range(count))
    goals = [found[RANDOM][each] for each in range(1, count)]
    lines = [f"{'accuracy after N labels':<30}{heads}"]
    lines += [f"{name:<30}" + "".join(f"{each:>8.1%}" for each in curve) for name, curve in found.items()]
    lines.append(f"{'labels until accuracy reaches':<30}" + "".join(f"{each:>8.1%}" for each in goals))
    lines += [f"{name:<30}" + "".join(f"{_until(curve, goal):>8}" for goal in goals) for name, curve in found.items()]
    return "\n".join(lines)


def _until(curve: list[float], goal: float) -> str:
    """Return the number of labels at which a curve reaches a goal, linearly interpolated."""
    for place, accuracy in enumerate(curve):
        if accuracy >= goal:
            before = curve[place - 1] if place else accuracy
            part = (goal - before) / (accuracy - before) if accuracy > before else 1.0
            return f"{(max(place - 1, 0) + part * bool(place)) * EVERY:.0f}"
    return "-"
