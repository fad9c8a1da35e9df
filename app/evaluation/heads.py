"""Classification heads on image embeddings: text prompts, linear probe, nearest neighbours, few-shot prototypes.

A head maps unit embeddings (N, D) to logits (N, C). Its memory beside CLIP's picture tower is counted in bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.evaluation.data import Numbers
from app.model.encoder import Encoder, unit
from app.model.engines import Floats
from app.recognition.calibration import accuracy
from app.recognition.labels import Label
from app.recognition.vocabulary import encode

ONE, SERVED, PROBE, NEAREST, CNN = "zero-shot (one prompt)", "zero-shot (templates)", "linear probe", "k-nearest", "CNN"
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # inverse regularisation (C) of the linear probe
NEIGHBOURS = (1, 3, 5, 10, 20)
SHARPNESS = 0.07  # temperature of a neighbour's vote on its cosine similarity, as in DINO's k-NN
SHOTS = (1, 2, 5, 10, 16)


@dataclass(frozen=True)
class Head:
    """A head's name, a short description, and the function."""

    name: str
    made: str
    answer: Callable[[Floats], Floats]
    bytes: int


@dataclass(frozen=True)
class Vectors:
    """Unit embeddings (N, D) of pictures and their classes (N,)."""

    vectors: Floats
    labels: Numbers


def text_heads(classes: Sequence[Label], templates: Sequence[str], encoder: Encoder, scale: float) -> list[Head]:
    """Zero-shot: each class by its name in the first template, and by all names in all templates as served."""
    one = encode([(label.name,) for label in classes], templates[:1], encoder)
    many = encode([label.names for label in classes], templates, encoder)
    names = sum(len(label.names) for label in classes)
    return [
        _linear(ONE, f"“{templates[0]}”", scale * one),
        _linear(SERVED, f"{len(templates)} templates, {names} names", scale * many),
    ]


def linear_probe(train: Vectors, val: Vectors) -> Head:
    """Fit a logistic regression on the training embeddings; C is chosen by the accuracy on val."""
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
    """Classify by the votes of the k nearest training pictures; k is chosen on val."""
    heads = {k: neighbours(train, k, classes) for k in NEIGHBOURS}
    k = max(NEIGHBOURS, key=lambda k: accuracy(heads[k](val.vectors), val.labels))
    return Head(NEAREST, f"{k} of {len(train.labels):,} training pictures", heads[k], train.vectors.nbytes)


def neighbours(train: Vectors, k: int, classes: int) -> Callable[[Floats], Floats]:
    """Return a function from embeddings to the log of each class's share (N, C) of the votes of the `k` nearest."""
    from sklearn.neighbors import KNeighborsClassifier

    def weights(distances: Floats) -> Floats:
        votes: Floats = np.exp(-distances / SHARPNESS)
        return votes

    fitted = KNeighborsClassifier(k, weights=weights, metric="cosine").fit(train.vectors, train.labels)

    def answer(vectors: Floats) -> Floats:
        shares = np.full((len(vectors), classes), 1e-4)  # a class without votes is unlikely, not impossible
        shares[:, fitted.classes_] += fitted.predict_proba(vectors)
        return np.asarray(np.log(shares / shares.sum(axis=1, keepdims=True)), np.float32)

    return answer


def prototypes(train: Vectors, shots: int, classes: int, scale: float, seed: int) -> Head:
    """Use the mean of `shots` random training pictures as each class's prototype; of all if there are fewer."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(train.labels))
    chosen = [order[train.labels[order] == number][:shots] for number in range(classes)]
    means = unit(np.stack([train.vectors[rows].mean(axis=0) for rows in chosen]))
    return _linear(f"{shots} pictures a class", "mean of their vectors", scale * means)


def _linear(name: str, made: str, weights: Floats) -> Head:
    return Head(name, made, lambda vectors: vectors @ weights.T, weights.nbytes)
