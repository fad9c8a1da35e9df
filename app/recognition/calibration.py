"""Figures of a model: accuracy, calibration, and how well groceries are told from other pictures."""

import numpy as np

from app.recognition.zero_shot import softmax


def accuracy(cosines: np.ndarray, labels: np.ndarray) -> float:
    """Share of pictures whose best label is the right one."""
    return float((cosines.argmax(axis=1) == labels).mean())


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the best label over bins of equal width."""
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(right[places == b].sum() - sure[places == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(labels))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The divisor of the logits with the least cross-entropy."""

    def cost(temperature: float) -> float:
        chances = softmax(logits / temperature)[np.arange(len(labels)), labels]
        return float(-np.log(chances + 1e-12).mean())

    return float(min(np.geomspace(0.2, 5, 200), key=cost))


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a random positive scores above a random negative; ties count half."""
    ordered = np.sort(negative)
    below, up_to = np.searchsorted(ordered, positive, "left"), np.searchsorted(ordered, positive, "right")
    return float((below + up_to).mean() / 2 / len(negative))


def fit_margin(positive: np.ndarray, negative: np.ndarray) -> float:
    """The threshold with the best mean of both hit rates, in the middle where several are equal."""
    places = np.unique(np.concatenate([positive, negative]))
    middles = (places[1:] + places[:-1]) / 2
    missed = np.searchsorted(np.sort(positive), middles, "right") / len(positive)
    refused = np.searchsorted(np.sort(negative), middles, "right") / len(negative)
    hits = refused - missed
    best = np.flatnonzero(hits >= hits.max() - 1e-9)
    return float(middles[best].mean())
