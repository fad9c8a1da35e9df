"""The figures of one contestant: how often it is right, where it errs, how far its probabilities hold."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix

from app.evaluation.data import Numbers
from app.model.engines import Floats
from app.recognition.calibration import accuracy, calibration_error, fit_temperature
from app.recognition.zero_shot import softmax

BINS = 10  # of the reliability diagram
CONFUSED = 10  # pairs of classes that are named


@dataclass(frozen=True)
class Bin:
    """Answers of similar probability: their share of all, how sure they are on average, how many of them are right."""

    share: float
    sure: float
    right: float


@dataclass(frozen=True)
class Confused:
    """How many pictures of one class were taken for another."""

    shown: str
    answered: str
    count: int
    of: int


@dataclass(frozen=True)
class Figures:
    """Shares are of 1; what is per class is in the order of the class list."""

    name: str
    made: str
    top_1: float
    top_5: float
    overconfidence: float
    """Mean probability of the best class less the share that is right; below 0 it is underconfident."""
    calibration_error: float
    calibrated_error: float
    """With the temperature that fits val."""
    temperature: float
    milliseconds: float
    megabytes: float
    per_class: list[float | None]
    """Recall of each class; None where the test has no pictures of it."""
    confused: list[Confused]
    reliability: list[Bin]
    """With that temperature."""


@dataclass(frozen=True)
class Answers:
    """Logits (N, C) of a contestant for the pictures of val and of test."""

    name: str
    made: str
    val: Floats
    test: Floats
    milliseconds: float
    megabytes: float


def measure(answers: Answers, val: Numbers, test: Numbers, classes: list[str]) -> Figures:
    """All figures of a contestant, given the right classes (N,)."""
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
    """The recall of each class from a confusion matrix (C, C); None where a class has no pictures."""
    shown = table.sum(axis=1)
    return [int(table[c, c]) / int(shown[c]) if shown[c] else None for c in range(len(table))]


def most_confused(table: Numbers, classes: list[str]) -> list[Confused]:
    """The pairs of classes that are most often confused, the most frequent first."""
    wrong = table * ~np.eye(len(table), dtype=bool)
    places = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    pairs = [divmod(int(place), len(table)) for place in places]
    return [Confused(classes[a], classes[b], int(wrong[a, b]), int(table[a].sum())) for a, b in pairs if wrong[a, b]]


def reliability(probabilities: npt.NDArray[np.float64], labels: Numbers) -> list[Bin]:
    """The answers by their probability, in bins of equal width; empty ones are left out."""
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    chosen = [places == place for place in range(BINS) if (places == place).any()]
    return [Bin(float(rows.mean()), float(sure[rows].mean()), float(right[rows].mean())) for rows in chosen]
