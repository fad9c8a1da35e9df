"""Figures of a model: accuracy, calibration, and how well groceries are told from other pictures."""

from collections.abc import Callable
from typing import Any

import numpy as np

Encode = Callable[[list[str]], np.ndarray]  # texts to embeddings [N, D]


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    rows: np.ndarray = x / np.linalg.norm(x, axis=1, keepdims=True)
    return rows


def prototypes(labels: list[list[str]], templates: list[str], encode: Encode) -> np.ndarray:
    """One unit vector [labels, D] a label: the mean over its names and the templates of the unit prompt vectors."""
    prompts = [[template.replace("{}", name) for name in names for template in templates] for names in labels]
    vectors = unit(encode([prompt for group in prompts for prompt in group]))
    ends = np.cumsum([len(group) for group in prompts])[:-1]
    return unit(np.stack([part.mean(axis=0) for part in np.split(vectors, ends)]))


def accuracy(cosines: np.ndarray, labels: np.ndarray) -> float:
    """Share of pictures whose best label is the right one."""
    return float((cosines.argmax(axis=1) == labels).mean())


def accuracy_among(cosines: np.ndarray, labels: np.ndarray, best: int) -> float:
    """Share of pictures whose right label is one of the `best` first."""
    return float((np.argsort(-cosines, axis=1)[:, :best] == labels[:, None]).any(axis=1).mean())


def search_precision(cosines: np.ndarray, labels: np.ndarray, label: int, hits: int = 10) -> float:
    """Share of right pictures among the first hits of a search for a label."""
    return float((labels[np.argsort(-cosines[:, label], kind="stable")[:hits]] == label).mean())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    powers: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


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
    hits = np.array([(positive > m).mean() + (negative <= m).mean() for m in middles])
    best = np.flatnonzero(hits >= hits.max() - 1e-9)
    return float(middles[best].mean())


def test_figures(logits: np.ndarray, labels: np.ndarray, names: list[str], temperature: float) -> dict[str, Any]:
    """Figures over all pictures, and for every label that some picture has."""
    shown = np.unique(labels)
    right = logits.argmax(axis=1) == labels
    by_label = {
        names[label]: {
            "top_1": float(right[labels == label].mean()),
            "search_precision_at_10": search_precision(logits, labels, label),
        }
        for label in shown
    }
    overall = {
        "pictures": len(labels),
        "labels": len(names),
        "top_1": float(right.mean()),
        "top_5": accuracy_among(logits, labels, 5),
        "calibration_error": calibration_error(softmax(logits / temperature), labels),
        "search_precision_at_10": float(np.mean([one["search_precision_at_10"] for one in by_label.values()])),
    }
    return {"all": overall, "by_label": by_label}
