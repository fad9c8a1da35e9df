"""Accuracy and calibration of a model on labelled pictures; fits of the temperature and the margins."""

import numpy as np

from app.recognition.zero_shot import softmax


def accuracy(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Return the share of pictures whose label (N,) is among the k best scores (N, L); ties: the first."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Return the expected calibration error of probabilities (N, L) for labels (N,), over bins of equal width."""
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(right[places == b].sum() - sure[places == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(labels))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fit the temperature: the divisor of the logits (N, L) with the least cross-entropy to the labels (N,)."""

    def cost(temperature: float) -> float:
        chances = softmax(logits / temperature)[np.arange(len(labels)), labels]
        return float(-np.log(chances + 1e-12).mean())

    return float(min(np.geomspace(0.2, 5, 200), key=cost))


def fit_margin(positive: np.ndarray, negative: np.ndarray) -> float:
    """Fit the threshold of scores with the best balanced accuracy, the middle of equal ones."""
    places = np.unique(np.concatenate([positive, negative]))
    middles = (places[1:] + places[:-1]) / 2
    missed = np.searchsorted(np.sort(positive), middles, "right") / len(positive)
    refused = np.searchsorted(np.sort(negative), middles, "right") / len(negative)
    hits = refused - missed
    best = np.flatnonzero(hits >= hits.max() - 1e-9)
    return float(middles[best].mean())
