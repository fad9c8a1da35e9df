"""The command `several`: several frames of one thing against one picture, and recognition of shelves."""

import argparse
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from app.evaluation.data import Numbers, Pictures, read_classes, read_pictures
from app.evaluation.model import LIMITS, Measured, open_measured
from app.images.decode import open_picture
from app.images.prepare import Preparer
from app.recognition.frames import recognise_frames
from app.recognition.labels import Label, parse_labels
from app.recognition.regions import Box, grid, non_max_suppression
from app.recognition.vocabulary import label_set, read_prompts
from app.recognition.zero_shot import Recogniser, Recognition
from app.text import read_text

SEED = 0
DRAWS = 5  # draws of frames for each picture
SIDE = 320  # pixels of a thing on a shelf, including its margin
LAYOUTS = ((2, 2), (3, 2), (4, 2), (3, 3))  # columns, rows
LONGEST = 200


@dataclass(frozen=True)
class Several:
    """Results as shares between 0 and 1."""

    pictures: int
    one_picture: float
    """Top-1 of one picture."""
    frames: int
    together: float
    """Top-1 of `frames` frames together."""
    confidently: float
    """The share of confident answers on several frames, and the accuracy of these:"""
    rightly: float
    shelves: int
    precision: float
    """Precision: the share of found things that are there."""
    recall: float
    """Recall: the share of things there that were found."""


def run(options: argparse.Namespace, data: Path) -> int:
    """Run the command; `data` is the cache of compiled models. Returns the exit status."""
    classes = read_classes(options.classes)
    pictures = read_pictures(options.data, classes)
    model = open_measured(options.bundle, data)
    labels = parse_labels(read_text(options.labels), LONGEST)[: len(classes)]
    recogniser = recogniser_of(model, labels, read_prompts(options.templates), read_prompts(options.background))

    def recognise(vector: np.ndarray) -> Recognition:
        return recogniser.recognise(vector, top_k=5, threshold=options.threshold)

    vectors = model.vectors(pictures.files, "pictures")
    names = [label.name for label in labels]
    found = Several(
        len(pictures.files),
        *frames(vectors, pictures.labels, names, options.frames, recognise),
        *shelves(model, pictures, names, options.shelves, recognise),
    )
    print(json.dumps(asdict(found)) if options.json else table(found))
    return 0


def recogniser_of(
    model: Measured, labels: Sequence[Label], templates: Sequence[str], background: Sequence[str]
) -> Recogniser:
    """Build a recogniser of these labels, as the service does."""
    fixed, calibration = (
        label_set(labels, templates, model.encoder, model.background_in_use(background)),
        model.config.calibration,
    )
    margin = calibration.known_margin if calibration else None
    return Recogniser(fixed, model.config.logit_scale, margin)


def frames(
    vectors: np.ndarray, labels: Numbers, names: Sequence[str], count: int, recognise: Callable[..., Recognition]
) -> tuple[float, int, float, float, float]:
    """Recognise each picture alone, and with `count` - 1 others of its class (all of them in smaller classes)."""
    rng = np.random.default_rng(SEED)
    alone = np.mean([recognise(vector).item == names[label] for vector, label in zip(vectors, labels, strict=True)])
    right, sure = [], []
    for place, label in enumerate(labels):
        others = np.setdiff1d(np.flatnonzero(labels == label), place)
        for _ in range(DRAWS if len(others) else 0):
            chosen = [place, *rng.permutation(others)[: count - 1]]
            found, _ = recognise_frames(list(vectors[chosen]), recognise)
            right.append(found.item == names[label])
            sure.append(found.ranking.confident)
    return float(alone), count, float(np.mean(right)), float(np.mean(sure)), float(np.mean(np.array(right)[sure]))


def shelves(
    model: Measured, pictures: Pictures, names: Sequence[str], count: int, recognise: Callable[..., Recognition]
) -> tuple[int, float, float]:
    """Recognise composed shelves; returns the numbers of things found, rightly found, and present."""
    rng = np.random.default_rng(SEED)
    hits = claimed = there = 0
    for number in tqdm(range(count), desc="shelves", disable=None):
        whole, shown = compose(pictures, LAYOUTS[number % len(LAYOUTS)], rng)
        found = Counter({each.item: len(each.boxes) for each in non_max_suppression(*answers(model, whole, recognise))})
        truth = Counter(names[label] for label in shown)
        hits, claimed, there = hits + (found & truth).total(), claimed + found.total(), there + truth.total()
    return count, hits / max(claimed, 1), hits / there


def compose(pictures: Pictures, layout: tuple[int, int], rng: np.random.Generator) -> tuple[Image.Image, Numbers]:
    """Compose pictures of different classes on grey, each with a random margin; returns the classes too."""
    columns, rows = layout
    classes = rng.permutation(np.unique(pictures.labels))[: columns * rows]
    shelf = Image.new("RGB", (SIDE * columns, SIDE * rows), (200, 200, 200))
    for place, label in enumerate(classes):
        chosen = rng.choice(np.flatnonzero(pictures.labels == label))
        size = int(SIDE * rng.uniform(0.8, 1))
        thing = open_picture(pictures.files[chosen], LIMITS).resize((size, size))
        left, top = (int(rng.integers(0, SIDE - size + 1)) for _ in range(2))
        shelf.paste(thing, (place % columns * SIDE + left, place // columns * SIDE + top))
    return shelf, classes


def answers(
    model: Measured, whole: Image.Image, recognise: Callable[..., Recognition]
) -> tuple[list[Box], list[Recognition]]:
    """Classify the tiles of a picture."""
    file = io.BytesIO()
    whole.save(file, "BMP")
    boxes, (_, *tiles) = Preparer(model.config.image_form, LIMITS).crops(file.getvalue(), grid)
    return list(boxes), [recognise(vector) for vector in model.encoder.pictures(tiles)]


def table(found: Several) -> str:
    """Format the figures as lines."""
    return "\n".join(
        [
            f"{found.pictures} pictures, top-1 one by one: {found.one_picture:.1%}",
            f"{found.frames} frames together: {found.together:.1%}; "
            f"{found.confidently:.1%} of the answers are confident, {found.rightly:.1%} of these right",
            f"{found.shelves} shelves of {min(a * b for a, b in LAYOUTS)} to {max(a * b for a, b in LAYOUTS)} things: "
            f"precision {found.precision:.1%}, recall {found.recall:.1%}",
        ]
    )
