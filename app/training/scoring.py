"""Figures of a model: accuracy, calibration, and how well groceries are told from other pictures."""

from collections.abc import Callable

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
