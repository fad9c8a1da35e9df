"""Prototypes of a model that is still being trained, beside the figures that all models are given."""

from collections.abc import Callable

import numpy as np

from app.scoring import accuracy, auroc, calibration_error, fit_margin, fit_temperature
from app.zero_shot import softmax

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
