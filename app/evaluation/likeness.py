"""The command `likeness`: fit the alignment for few-shot labels, and write it into the bundle."""

import argparse
from pathlib import Path

import numpy as np

from app.evaluation.data import Numbers, folder_classes, read_classes, read_pictures
from app.evaluation.model import open_measured
from app.model.bundle import LIKENESS, update_config
from app.model.encoder import unit
from app.model.engines import Floats
from app.recognition.few_shot import ImageAlignment
from app.recognition.vocabulary import encode, read_prompts

EVEN = 0.3  # shrinkage: added to the within-class variances, relative to their mean
RIDGE = 0.003  # regularisation of the texts' map, relative to the texts' mean variance


def run(options: argparse.Namespace, data: Path) -> int:
    """Write likeness.npz and its checksum; `data` is the cache of compiled models. Returns the exit status."""
    labels = read_classes(options.classes) if options.classes else folder_classes(options.data)
    pictures = read_pictures(options.data, labels)
    model = open_measured(options.bundle, data)
    names = [label.names for label in labels]
    prototypes = encode(names, read_prompts(options.templates), model.encoder)  # (C, D)
    vectors = model.vectors(pictures.files, "pictures")
    fitted = fit(vectors, pictures.labels, prototypes, options.margin, options.scale)
    folder = model.bundle.folder
    fitted.save(folder / LIKENESS)
    update_config(folder, [LIKENESS])
    print(f"{folder / LIKENESS}: fitted on {len(vectors)} pictures of {len(np.unique(pictures.labels))} classes")
    return 0


def fit(vectors: Floats, labels: Numbers, prototypes: Floats, margin: float, scale: float = 1.0) -> ImageAlignment:
    """Fit the alignment to unit embeddings (P, D) of pictures of classes (P,) and unit prototypes (C, D).

    The pictures' map subtracts the mean of the classes and whitens the within-class covariance with shrinkage, as in
    linear discriminant analysis. The texts' map is a ridge regression from prototypes to the mapped class means of the
    pictures. Classes without pictures are left out.
    """
    shown, numbers = np.unique(labels, return_inverse=True)
    means = _means(vectors, numbers)  # (S, D)
    apart = vectors - means[numbers]
    variances, directions = np.linalg.eigh(apart.T @ apart / len(apart))  # (D,), (D, D)
    even = directions / np.sqrt(variances + EVEN * variances.mean()) @ directions.T  # (D, D)
    pictures = np.vstack([even, -means.mean(axis=0) @ even])  # (D + 1, D)
    goals = _means(unit(vectors @ pictures[:-1] + pictures[-1]), numbers)  # (S, D)
    texts, middle = prototypes[shown], prototypes[shown].mean(axis=0)
    spread = (texts - middle).T @ (texts - middle)
    held = spread + RIDGE * np.trace(spread) / len(spread) * np.eye(len(spread))
    slope = np.linalg.solve(held, (texts - middle).T @ (goals - goals.mean(axis=0)))  # (D, D)
    among = np.vstack([slope, goals.mean(axis=0) - middle @ slope])  # (D + 1, D)
    return ImageAlignment(pictures.astype(np.float32), among.astype(np.float32), (margin,), scale)


def _means(vectors: Floats, numbers: Numbers) -> Floats:
    return np.stack([vectors[numbers == number].mean(axis=0) for number in range(numbers.max() + 1)])
