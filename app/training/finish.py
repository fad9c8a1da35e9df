"""A model trained on groceries to a measured, calibrated bundle."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from tokenizers import Tokenizer

from app.training import drawn, scoring
from app.training.batches import OTHER_CLASSES
from app.training.captions import read_names
from app.training.card import model_card
from app.training.data import Classes, Pictures, read_pictures
from app.training.export import Calibration, export_graphs, write_config
from app.training.figures import embed_pictures, text_encoder
from app.training.model import SmallClip
from app.training.runs import Trained

CALIBRATION_ROWS, MEASURED_ROWS = slice(0, None, 10), slice(0, None, 5)  # both files are sorted by class
DRAWN = 300


Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Vectors:
    """Unit embeddings [N, D] of one set of pictures and their classes."""

    pictures: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Prompts:
    """Unit vectors of what the service compares pictures with."""

    fine: np.ndarray  # the trained classes of pantry.txt
    pantry: np.ndarray  # all of pantry.txt
    coarse: np.ndarray
    background: np.ndarray


def prompts_of(model: SmallClip, tokenizer: Tokenizer, classes: Classes, labels: Path) -> Prompts:
    """Encode the label files as the service does."""
    encode = text_encoder(model, tokenizer)
    templates = [line for [line] in read_names(labels / "templates.txt")]
    pantry = scoring.prototypes(read_names(labels / "pantry.txt"), templates, encode)
    return Prompts(
        fine=pantry[: len(classes.coarse_of)],
        pantry=pantry,
        coarse=scoring.prototypes([[name] for name in classes.coarse_names], templates, encode),
        background=scoring.unit(encode([line for [line] in read_names(labels / "background.txt")])),
    )


def drawn_pictures(size: int, seed: int) -> np.ndarray:
    """Drawn pictures without groceries [DRAWN, 3, size, size]; training uses other seeds."""
    dice = np.random.default_rng(seed)
    return np.stack([drawn.draw(place % len(drawn.KINDS), size, dice) for place in range(DRAWN)])


def known_score(prompts: Prompts, pictures: np.ndarray) -> np.ndarray:
    """Cosine of the best label less that of the best background prompt."""
    lead: np.ndarray = (pictures @ prompts.pantry.T).max(axis=1) - (pictures @ prompts.background.T).max(axis=1)
    return lead


def recognition(prompts: Prompts, vectors: Vectors, classes: Classes, multiplier: float) -> dict[str, float]:
    """Accuracies and calibration error on one set of groceries."""
    everything = vectors.pictures @ prompts.pantry.T
    return {
        "fine": scoring.accuracy(vectors.pictures @ prompts.fine.T, vectors.labels),
        "fine_with_unseen_goods": scoring.accuracy(everything, vectors.labels),
        "coarse": scoring.accuracy(vectors.pictures @ prompts.coarse.T, classes.coarse_of[vectors.labels]),
        "calibration_error": scoring.calibration_error(scoring.softmax(multiplier * everything), vectors.labels),
    }


def known_figures(
    prompts: Prompts, groceries: np.ndarray, others: Vectors, drawings: np.ndarray, margin: float
) -> dict[str, float]:
    """How well groceries are told from other pictures, from classes never trained on, and from drawn noise."""
    good = known_score(prompts, groceries)
    bad, nothing = known_score(prompts, others.pictures), known_score(prompts, drawings)
    new = ~np.isin(others.labels, OTHER_CLASSES)
    return {
        "auroc_other_pictures": scoring.auroc(good, bad),
        "auroc_new_classes": scoring.auroc(good, bad[new]),
        "auroc_drawn": scoring.auroc(good, nothing),
        "groceries_known": float((good > margin).mean()),
        "other_pictures_known": float((bad > margin).mean()),
        "new_classes_known": float((bad[new] > margin).mean()),
        "drawn_known": float((nothing > margin).mean()),
    }


def read_vectors(model: SmallClip, path: Path, size: int, rows: slice = slice(None)) -> Vectors:
    """Embed the pictures of a parquet file."""
    pictures: Pictures = read_pictures(path, size, rows)
    return Vectors(embed_pictures(model, pictures.pixels), pictures.labels)


def calibrate(trained: Trained, prompts: Prompts, val: Vectors, data: Path) -> Calibration:
    """Fit temperature and label cosine on `val`, the margin on `val` against what training left out."""
    model, size = trained.model, trained.options.image_size
    others = read_pictures(data / "cifar10/train.parquet", size, CALIBRATION_ROWS)
    kept = embed_pictures(model, others.pixels[~np.isin(others.labels, OTHER_CLASSES)])
    noise = embed_pictures(model, drawn_pictures(size, trained.options.seed + 1_000_001))
    scale = float(model.scale().detach())
    cosines = val.pictures @ prompts.fine.T
    shown = val.labels[:, None] == np.arange(len(prompts.fine))
    return Calibration(
        scale=scale,
        temperature=scoring.fit_temperature(scale * val.pictures @ prompts.pantry.T, val.labels),
        known_margin=scoring.fit_margin(
            known_score(prompts, val.pictures), known_score(prompts, np.concatenate([kept, noise]))
        ),
        label_cosine=scoring.fit_margin(cosines[shown], cosines[~shown]),
    )


def measure(
    trained: Trained, prompts: Prompts, calibration: Calibration, classes: Classes, val: Vectors, data: Path
) -> Figures:
    """All figures of the model card."""
    model, size = trained.model, trained.options.image_size
    test = read_vectors(model, data / "grocery/test_sample.parquet", size)
    others = read_vectors(model, data / "cifar10/test.parquet", size, MEASURED_ROWS)
    drawings = embed_pictures(model, drawn_pictures(size, trained.options.seed + 2_000_002))
    multiplier = calibration.scale / calibration.temperature
    margin = cast(float, calibration.known_margin)  # fitted by `calibrate`
    return {
        "val": recognition(prompts, val, classes, multiplier),
        "test_sample": recognition(prompts, test, classes, multiplier),
        "known": known_figures(prompts, test.pictures, others, drawings, margin),
    }


def write_bundle(trained: Trained, classes: Classes, data: Path, labels: Path, out: Path) -> Figures:
    """Calibrate on `val`, measure on `val` and `test_sample`, write every file of the bundle; returns the figures."""
    prompts = prompts_of(trained.model, trained.tokenizer, classes, labels)
    val = read_vectors(trained.model, data / "grocery/val.parquet", trained.options.image_size)
    calibration = calibrate(trained, prompts, val, data)
    figures = measure(trained, prompts, calibration, classes, val, data)
    export_graphs(trained.model, trained.options, out)
    trained.tokenizer.save(str(out / "tokenizer.json"))
    card = model_card(trained.options, figures, trained.command, trained.minutes)
    (out / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    write_config(
        trained.options, calibration, "trained from scratch by `make train`: see MODEL_CARD.md", trained.proof(), out
    )
    return figures
