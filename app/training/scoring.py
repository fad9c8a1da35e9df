"""Prototypes of a model that is still being trained, beside the figures that all models are given."""

from collections.abc import Callable
from typing import Any

import numpy as np

from app.recognition.calibration import accuracy, auroc, calibration_error, fit_margin, fit_temperature
from app.recognition.zero_shot import softmax

__all__ = ["accuracy", "auroc", "calibration_error", "fit_margin", "fit_temperature", "softmax"]  # figures, as they are

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


def accuracy_among(cosines: np.ndarray, labels: np.ndarray, best: int) -> float:
    """Share of pictures whose right label is one of the `best` first."""
    return float((np.argsort(-cosines, axis=1)[:, :best] == labels[:, None]).any(axis=1).mean())


def search_precision(cosines: np.ndarray, labels: np.ndarray, label: int, hits: int = 10) -> float:
    """Share of right pictures among the first hits of a search for a label."""
    return float((labels[np.argsort(-cosines[:, label], kind="stable")[:hits]] == label).mean())


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
