"""Ways to tell classes from a picture's vector: by text, by a fitted linear map, by neighbours, by a few examples.

A head takes unit vectors (N, D) and gives logits (N, C). What it needs beside CLIP's picture tower is counted in bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.evaluation.data import Numbers
from app.evaluation.wording import NEAREST, ONE, PROBE, SERVED
from app.model.encoder import Encoder, unit
from app.model.engines import Floats
from app.recognition.calibration import accuracy
from app.recognition.labels import Label
from app.recognition.vocabulary import encode

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # of the linear probe: the smaller, the more it is held back
NEIGHBOURS = (1, 3, 5, 10, 20)
SHARPNESS = 0.07  # how fast a neighbour's vote falls with its cosine; the temperature of DINO's k-NN
SHOTS = (1, 2, 5, 10, 16)


@dataclass(frozen=True)
class Head:
    """A name, how it was made in a few words, and what it does."""

    name: str
    made: str
    answer: Callable[[Floats], Floats]
    bytes: int


@dataclass(frozen=True)
class Vectors:
    """Unit vectors (N, D) of pictures and their classes (N,)."""

    vectors: Floats
    labels: Numbers


def text_heads(classes: Sequence[Label], templates: Sequence[str], encoder: Encoder, scale: float) -> list[Head]:
    """Zero-shot: each class's name in the first template, and all its names in all templates as the service does."""
    one = encode([(label.name,) for label in classes], templates[:1], encoder)
    many = encode([label.names for label in classes], templates, encoder)
    names = sum(len(label.names) for label in classes)
    return [
        _linear(ONE, f"“{templates[0]}”", scale * one),
        _linear(SERVED, f"{len(templates)} templates, {names} names", scale * many),
    ]


def linear_probe(train: Vectors, val: Vectors) -> Head:
    """Logistic regression on the training vectors; its strength is the one with the best accuracy on val."""
    from sklearn.linear_model import LogisticRegression

    every = [LogisticRegression(C=c, max_iter=300, tol=1e-3).fit(train.vectors, train.labels) for c in STRENGTHS]
    best = max(every, key=lambda fitted: accuracy(fitted.decision_function(val.vectors), val.labels))
    weights, offsets = np.float32(best.coef_), np.float32(best.intercept_)
    return Head(
        PROBE,
        f"logistic regression, C = {best.C:g}",
        lambda vectors: vectors @ weights.T + offsets,
        weights.nbytes + offsets.nbytes,
    )


def nearest(train: Vectors, val: Vectors, classes: int) -> Head:
    """The nearest training pictures vote; how many is what is best on val."""

    def voting(k: int) -> Callable[[Floats], Floats]:
        return lambda vectors: votes(vectors, train, k, classes)

    k = max(NEIGHBOURS, key=lambda k: accuracy(voting(k)(val.vectors), val.labels))
    return Head(NEAREST, f"{k} of {len(train.labels):,} training pictures", voting(k), train.vectors.nbytes)


def votes(vectors: Floats, train: Vectors, k: int, classes: int) -> Floats:
    """Logarithm of the share (N, C) of the votes of the `k` nearest that each class has."""
    shares = np.full((len(vectors), classes), 1e-4)  # who gets no vote is unlikely, not impossible
    for rows in np.array_split(np.arange(len(vectors)), len(vectors) // 1000 + 1):
        cosines = vectors[rows] @ train.vectors.T  # (n, M)
        best = np.argpartition(-cosines, k - 1, axis=1)[:, :k]  # (n, k)
        weights = np.exp((np.take_along_axis(cosines, best, axis=1) - 1) / SHARPNESS)
        weights /= weights.sum(axis=1, keepdims=True)
        np.add.at(shares, (rows[:, None], train.labels[best]), weights)
    return np.asarray(np.log(shares / shares.sum(axis=1, keepdims=True)), np.float32)


def prototypes(train: Vectors, shots: int, classes: int, scale: float, seed: int) -> Head:
    """Each class is the mean of `shots` of its training pictures, drawn at random; fewer where it has not so many."""
    dice = np.random.default_rng(seed)
    order = dice.permutation(len(train.labels))
    chosen = [order[train.labels[order] == number][:shots] for number in range(classes)]
    means = unit(np.stack([train.vectors[rows].mean(axis=0) for rows in chosen]))
    return _linear(f"{shots} pictures a class", "mean of their vectors", scale * means)


def _linear(name: str, made: str, weights: Floats) -> Head:
    return Head(name, made, lambda vectors: vectors @ weights.T, weights.nbytes)
