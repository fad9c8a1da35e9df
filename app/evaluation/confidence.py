"""How far a bundle's confidence can be trusted: its probabilities, and `known`."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from app.evaluation.data import Numbers, Pictures
from app.evaluation.drawn import KINDS, draw
from app.evaluation.model import Measured
from app.model.bundle import Calibration
from app.model.engines import Floats
from app.recognition.calibration import accuracy, calibration_error, fit_margin, fit_temperature
from app.recognition.labels import Label
from app.recognition.vocabulary import encode
from app.recognition.zero_shot import softmax

DRAWN = 300
DRAWN_SIZE = 160  # pixels
FIT_SEED, REPORT_SEED = 3_000_003, 4_000_004  # training draws with others
DRAWN_NAME = "drawn noise, colours and patterns"


@dataclass(frozen=True)
class Words:
    """What pictures are compared with: unit prototypes (L, D) of all labels, unit vectors (B, D) of its rivals."""

    prototypes: Floats
    background: Floats


@dataclass(frozen=True)
class Evidence:
    """What confidence is judged by."""

    logits: Floats
    """Of the labelled pictures (N, L), as the service has them: scale x cosine."""
    scale: float
    labels: Numbers
    leads: Floats
    """By how much (N,) the best label's cosine exceeds the best background's."""
    others: dict[str, Floats]
    """The same of pictures that show none of the labels, by where they are from."""


@dataclass(frozen=True)
class Known:
    """How `known` tells the labelled pictures from others."""

    others: str
    pictures: int
    auroc: float
    false_positive_rate: float | None


@dataclass(frozen=True)
class Confidence:
    """Figures of a bundle with one calibration; None stands for what an uncalibrated bundle cannot have."""

    pictures: int
    labels: int
    top_1: float
    temperature: float | None
    calibration_error: float
    negative_log_likelihood: float
    """Mean negative logarithm of the right label's probability."""
    known_margin: float | None
    true_positive_rate: float | None
    known: list[Known]


def words(model: Measured, labels: Sequence[Label], templates: Sequence[str], background: Sequence[str]) -> Words:
    """Encode labels and prompts as the service does."""
    prototypes = encode([label.names for label in labels], templates, model.encoder)
    return Words(prototypes, model.background(background).beside(prototypes))


def drawn_pictures(seed: int) -> list[bytes]:
    """Noise, plain colours, gradients, stripes and checks as PNG files."""
    rng = np.random.default_rng(seed)
    files = []
    for place in range(DRAWN):
        file = io.BytesIO()
        Image.fromarray(draw(place % len(KINDS), DRAWN_SIZE, rng).transpose(1, 2, 0)).save(file, "PNG")
        files.append(file.getvalue())
    return files


def gather(model: Measured, spoken: Words, labelled: Pictures, others: dict[str, list[bytes]]) -> Evidence:
    """Encode the pictures and compare them with the words."""
    vectors = model.vectors(labelled.files, "labelled pictures")
    return evidence(
        vectors,
        labelled.labels,
        spoken,
        model.config.logit_scale,
        {name: model.vectors(files, name) for name, files in others.items()},
    )


def evidence(vectors: Floats, labels: Numbers, spoken: Words, scale: float, others: dict[str, Floats]) -> Evidence:
    """The same, of unit vectors (N, D)."""
    logits = np.float32(scale) * (vectors @ spoken.prototypes.T)
    leads = {name: _leads(some, spoken) for name, some in others.items()}
    return Evidence(logits, scale, labels, _leads(vectors, spoken), leads)


def auroc(positive: Floats, negative: Floats) -> float:
    """The area under the ROC curve of scores of the one kind (N,) against those of the other (M,)."""
    kinds = np.repeat([1, 0], [len(positive), len(negative)])
    return float(roc_auc_score(kinds, np.concatenate([positive, negative])))


def _leads(vectors: Floats, spoken: Words) -> Floats:
    best = (vectors @ spoken.prototypes.T).max(axis=1)
    return np.asarray(best - (vectors @ spoken.background.T).max(axis=1))


def fit(found: Evidence) -> Calibration:
    """The temperature with the least cross-entropy, and the thresholds with the best mean of both hit rates."""
    shown = found.labels[:, None] == np.arange(found.logits.shape[1])  # (N, L)
    return Calibration(
        temperature=fit_temperature(found.logits, found.labels),
        known_margin=fit_margin(found.leads, np.concatenate(list(found.others.values()))),
        label_cosine=fit_margin(found.logits[shown], found.logits[~shown]) / found.scale,
    )


def judge(found: Evidence, calibration: Calibration | None) -> Confidence:
    """The figures that a calibration has on some evidence; without one, those of the plain softmax."""
    temperature = calibration.temperature if calibration else None
    margin = calibration.known_margin if calibration else None
    probabilities = softmax(found.logits / np.float32(temperature or 1))
    right = probabilities[np.arange(len(found.labels)), found.labels]
    return Confidence(
        pictures=len(found.labels),
        labels=found.logits.shape[1],
        top_1=accuracy(found.logits, found.labels),
        temperature=temperature,
        calibration_error=calibration_error(probabilities, found.labels),
        negative_log_likelihood=float(-np.log(right + 1e-12).mean()),
        known_margin=margin,
        true_positive_rate=None if margin is None else float((found.leads > margin).mean()),
        known=[
            Known(
                name, len(leads), auroc(found.leads, leads), None if margin is None else float((leads > margin).mean())
            )
            for name, leads in found.others.items()
        ],
    )
