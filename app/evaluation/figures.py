"""The metrics of one classifier: accuracy, confusions, calibration."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix

from app.evaluation.data import Numbers
from app.model.engines import Floats
from app.recognition.calibration import accuracy, calibration_error, fit_temperature
from app.recognition.zero_shot import softmax

BINS = 10  # of the reliability diagram
CONFUSED = 10  # class pairs listed


@dataclass(frozen=True)
class Bin:
    """A bin of the reliability diagram: share of all answers, mean confidence, accuracy."""

    share: float
    sure: float
    right: float


@dataclass(frozen=True)
class Confused:
    """The number of pictures of one class that were classified as another."""

    shown: str
    answered: str
    count: int
    of: int


@dataclass(frozen=True)
class Figures:
    """Metrics as shares of 1; per-class values in the order of the class list."""

    name: str
    made: str
    top_1: float
    top_5: float
    overconfidence: float
    """Overconfidence: mean probability of the best class minus accuracy; below 0 it is underconfident."""
    calibration_error: float
    calibrated_error: float
    """With the temperature fitted on val."""
    temperature: float
    milliseconds: float
    megabytes: float
    per_class: list[float | None]
    """Recall of each class; None if the test has no pictures of it."""
    confused: list[Confused]
    reliability: list[Bin]
    """Bins with that temperature."""


@dataclass(frozen=True)
class Answers:
    """Logits (N, C) of a classifier for the pictures of val and of test."""

    name: str
    made: str
    val: Floats
    test: Floats
    milliseconds: float
    megabytes: float


def measure(answers: Answers, val: Numbers, test: Numbers, classes: list[str]) -> Figures:
    """Compute all metrics of a classifier, given the true classes (N,)."""
    logits = answers.test
    temperature = fit_temperature(answers.val, val)
    raw, fitted = softmax(logits), softmax(logits / np.float32(temperature))
    table = confusion_matrix(test, logits.argmax(axis=1), labels=range(len(classes)))
    return Figures(
        name=answers.name,
        made=answers.made,
        top_1=accuracy(logits, test),
        top_5=accuracy(logits, test, 5),
        overconfidence=float(raw.max(axis=1).mean()) - accuracy(logits, test),
        calibration_error=calibration_error(raw, test),
        calibrated_error=calibration_error(fitted, test),
        temperature=temperature,
        milliseconds=answers.milliseconds,
        megabytes=answers.megabytes,
        per_class=recall(table),
        confused=most_confused(table, classes),
        reliability=reliability(fitted, test),
    )


def recall(table: Numbers) -> list[float | None]:
    """Compute the recall of each class from a confusion matrix (C, C); None if a class has no pictures."""
    shown = table.sum(axis=1)
    return [int(table[c, c]) / int(shown[c]) if shown[c] else None for c in range(len(table))]


def most_confused(table: Numbers, classes: list[str]) -> list[Confused]:
    """Return the most often confused class pairs, the most frequent first."""
    wrong = table * ~np.eye(len(table), dtype=bool)
    places = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    pairs = [divmod(int(place), len(table)) for place in places]
    return [Confused(classes[a], classes[b], int(wrong[a, b]), int(table[a].sum())) for a, b in pairs if wrong[a, b]]


def reliability(probabilities: npt.NDArray[np.float64], labels: Numbers) -> list[Bin]:
    """Group the answers by probability into bins of equal width; empty ones are left out."""
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    chosen = [places == place for place in range(BINS) if (places == place).any()]
    return [Bin(float(rows.mean()), float(sure[rows].mean()), float(right[rows].mean())) for rows in chosen]
