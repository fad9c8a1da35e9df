"""Measure a bundle's confidence: the calibration of its probabilities, and open-set recognition by `known`."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from app.evaluation.data import Numbers, Pictures
from app.evaluation.model import Measured
from app.model.bundle import Calibration
from app.model.engines import Floats
from app.recognition.calibration import accuracy, calibration_error, fit_margin, fit_temperature
from app.recognition.labels import Label
from app.recognition.vocabulary import encode
from app.recognition.zero_shot import softmax

KINDS = ("noise", "plain colour", "colour gradient", "stripes", "checks")


def draw(kind: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one picture [3, size, size] uint8 of the numbered kind."""
    makers = (noise, plain_colour, gradient, stripes, checks)
    picture: np.ndarray = np.clip(makers[kind](size, rng), 0, 255).astype(np.uint8)
    return picture


def colour(rng: np.random.Generator) -> np.ndarray:
    """Draw a random colour [3, 1, 1]."""
    return rng.uniform(0, 255, (3, 1, 1))


def enlarge(small: np.ndarray, size: int) -> np.ndarray:
    """Repeat cells [C, n, n] up to [C, size, size]."""
    places = np.arange(size) * small.shape[1] // size
    large: np.ndarray = small[:, places][:, :, places]
    return large


def noise(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw grey or coloured noise of a random grain around a random colour."""
    cells = max(4, size // int(rng.integers(1, 9)))
    channels = int(rng.choice((1, 3)))
    speckle = rng.normal(0, rng.uniform(20, 90), (channels, cells, cells))
    if rng.random() < 0.3:
        return enlarge(rng.uniform(0, 255, (channels, cells, cells)), size).repeat(3 // channels, 0)
    picture: np.ndarray = colour(rng) + enlarge(speckle, size)
    return picture


def plain_colour(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one colour with a trace of noise."""
    return colour(rng) + rng.normal(0, rng.uniform(0, 6), (3, size, size))


def gradient(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a gradient of two colours along a line or from a centre."""
    y, x = np.mgrid[0:size, 0:size] / size
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        way = np.cos(angle) * x + np.sin(angle) * y
    else:
        way = np.hypot(x - rng.random(), y - rng.random())
    way = (way - way.min()) / np.ptp(way)
    picture: np.ndarray = colour(rng) * (1 - way) + colour(rng) * way
    return picture


def stripes(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw stripes of two colours with a random angle and width."""
    y, x = np.mgrid[0:size, 0:size] / size
    angle = rng.uniform(0, np.pi)
    wave = np.sin((np.cos(angle) * x + np.sin(angle) * y) * rng.uniform(10, 120))
    return np.where(wave > rng.uniform(-0.5, 0.5), colour(rng), colour(rng))


def checks(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a grid of two or of many colours."""
    cells = int(rng.integers(2, 14))
    if rng.random() < 0.5:
        return enlarge(rng.uniform(0, 255, (3, cells, cells)), size)
    board = enlarge((np.indices((cells, cells)).sum(0) % 2)[None].astype(float), size)
    return np.where(board > 0, colour(rng), colour(rng))


DRAWN = 300
DRAWN_SIZE = 160  # pixels
FIT_SEED, REPORT_SEED = 3_000_003, 4_000_004  # different from those of the training
DRAWN_NAME = "drawn noise, colours and patterns"


@dataclass(frozen=True)
class Words:
    """The text side: unit prototypes (L, D) of all labels and unit embeddings (B, D) of the background prompts."""

    prototypes: Floats
    background: Floats


@dataclass(frozen=True)
class Evidence:
    """The scores that confidence is measured on."""

    logits: Floats
    """Logits (N, L) of the labelled pictures as served: scale x cosine similarity."""
    scale: float
    labels: Numbers
    leads: Floats
    """Difference (N,) of the best label's and the best background prompt's cosine similarity."""
    others: dict[str, Floats]
    """The same for out-of-distribution pictures, by their source."""


@dataclass(frozen=True)
class Known:
    """How well `known` separates labelled from out-of-distribution pictures."""

    others: str
    pictures: int
    auroc: float
    false_positive_rate: float | None


@dataclass(frozen=True)
class Confidence:
    """Figures of a bundle with one calibration; None if an uncalibrated bundle cannot have the figure."""

    pictures: int
    labels: int
    top_1: float
    temperature: float | None
    calibration_error: float
    negative_log_likelihood: float
    """Mean negative log-probability of the right label."""
    known_margin: float | None
    true_positive_rate: float | None
    known: list[Known]


def words(model: Measured, labels: Sequence[Label], templates: Sequence[str], background: Sequence[str]) -> Words:
    """Encode labels and prompts as the service does."""
    prototypes = encode([label.names for label in labels], templates, model.encoder)
    return Words(prototypes, model.background(background).beside(prototypes))


def drawn_pictures(seed: int) -> list[bytes]:
    """Draw noise, plain colours, gradients, stripes and checks as PNG files."""
    rng = np.random.default_rng(seed)
    files = []
    for place in range(DRAWN):
        file = io.BytesIO()
        Image.fromarray(draw(place % len(KINDS), DRAWN_SIZE, rng).transpose(1, 2, 0)).save(file, "PNG")
        files.append(file.getvalue())
    return files


def gather(model: Measured, spoken: Words, labelled: Pictures, others: dict[str, list[bytes]]) -> Evidence:
    """Encode the pictures and compute their scores."""
    vectors = model.vectors(labelled.files, "labelled pictures")
    return evidence(
        vectors,
        labelled.labels,
        spoken,
        model.config.logit_scale,
        {name: model.vectors(files, name) for name, files in others.items()},
    )


def evidence(vectors: Floats, labels: Numbers, spoken: Words, scale: float, others: dict[str, Floats]) -> Evidence:
    """Compute the scores of unit embeddings (N, D)."""
    logits = np.float32(scale) * (vectors @ spoken.prototypes.T)
    leads = {name: _leads(some, spoken) for name, some in others.items()}
    return Evidence(logits, scale, labels, _leads(vectors, spoken), leads)


def auroc(positive: Floats, negative: Floats) -> float:
    """Return the area under the ROC curve of positive scores (N,) against negative scores (M,)."""
    kinds = np.repeat([1, 0], [len(positive), len(negative)])
    return float(roc_auc_score(kinds, np.concatenate([positive, negative])))


def _leads(vectors: Floats, spoken: Words) -> Floats:
    best = (vectors @ spoken.prototypes.T).max(axis=1)
    return np.asarray(best - (vectors @ spoken.background.T).max(axis=1))


def fit(found: Evidence) -> Calibration:
    """Fit the temperature of least cross-entropy, and the thresholds of best balanced accuracy."""
    shown = found.labels[:, None] == np.arange(found.logits.shape[1])  # (N, L)
    return Calibration(
        temperature=fit_temperature(found.logits, found.labels),
        known_margin=fit_margin(found.leads, np.concatenate(list(found.others.values()))),
        label_cosine=fit_margin(found.logits[shown], found.logits[~shown]) / found.scale,
    )


def judge(found: Evidence, calibration: Calibration | None) -> Confidence:
    """Compute the figures of a calibration on the evidence; None means the plain softmax."""
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
