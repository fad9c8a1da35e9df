"""The command `compare`: evaluate every classifier on the same test pictures."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from app.evaluation.cnn import Predictions, build
from app.evaluation.confidence import DRAWN_NAME, REPORT_SEED, Confidence, Words, drawn_pictures, evidence, judge, words
from app.evaluation.data import Numbers, Pictures, Splits, read_files, read_splits, shown
from app.evaluation.figures import Answers, Figures, measure
from app.evaluation.heads import CNN, SHOTS, Head, Vectors, linear_probe, nearest, prototypes, text_heads
from app.evaluation.model import Measured, open_measured
from app.evaluation.speed import bundle_milliseconds, milliseconds, network_milliseconds
from app.recognition.calibration import accuracy
from app.recognition.vocabulary import read_prompts

SEEDS = 10  # random draws of the support examples


@dataclass(frozen=True)
class Shots:
    """Top-1 with `shots` training pictures per class: mean, minimum and maximum over the draws."""

    shots: int
    mean: float
    least: float
    most: float


@dataclass(frozen=True)
class Pair:
    """The difference in accuracy of two classifiers, and its paired standard error."""

    first: str
    second: str
    difference: float
    error: float


@dataclass(frozen=True)
class Comparison:
    """Everything that the report shows."""

    title: str
    command: str
    model: str
    engine: str
    image_size: int
    train: int
    val: int
    test: int
    classes: list[str]
    contestants: list[Figures]
    pairs: list[Pair]
    shots: list[Shots]
    cnn: dict[str, Any] | None
    confidence: Confidence

    def contestant(self, name: str) -> Figures:
        """Return the figures of one classifier; raises StopIteration if it was not evaluated."""
        return next(each for each in self.contestants if each.name == name)


@dataclass(frozen=True)
class Encoded:
    """The embeddings of the three splits."""

    train: Vectors
    val: Vectors
    test: Vectors


def run(options: argparse.Namespace, data: Path) -> int:
    """Compare and write the report; `data` is the cache of compiled models. Returns the exit status."""
    from app.evaluation.report import as_json, figures, write_report

    splits = read_splits(options.train, options.val, options.test, options.classes)
    kept = Predictions.load(options.cnn, splits.digest()) if options.cnn else None
    others = {shown(path): read_files(path) for path in options.others}
    model = open_measured(options.model, data)
    prompts = read_prompts(options.templates), read_prompts(options.background)
    found, table = compare(options.title, options.typed, model, splits, prompts, others, kept)
    paths = write_report(found, table, options.out)
    print(as_json(found) if options.json else figures(found) + "\nwritten: " + ", ".join(map(str, paths)))
    return 0


def compare(
    title: str,
    command: str,
    model: Measured,
    splits: Splits,
    prompts: tuple[list[str], list[str]],
    others: dict[str, list[bytes]],
    kept: Predictions | None,
) -> tuple[Comparison, Numbers]:
    """Compute all figures, and the confusion matrix (C, C) of the served classifier.

    `prompts` are templates and background, `others` files of pictures that show no label, by their source, and `kept`
    the predictions of the CNN.
    """
    encoded, count = encode_splits(model, splits), len(splits.classes)
    names = [label.name for label in splits.classes]
    answers = clip_answers(model, splits, encoded, prompts[0])
    if kept:
        answers.append(cnn_answers(kept, count))
    test = encoded.test.labels
    found = Comparison(
        title=title,
        command=command,
        model=model.config.name,
        engine=model.engine,
        image_size=model.config.image_size,
        train=len(splits.train.files),
        val=len(splits.val.files),
        test=len(test),
        classes=names,
        contestants=[measure(each, encoded.val.labels, test, names) for each in answers],
        pairs=pairs(answers, test),
        shots=few_shots(encoded.train, encoded.test, count, model.config.logit_scale),
        cnn=kept.facts() if kept else None,
        confidence=confidence_of(model, words(model, splits.labels, *prompts), encoded.test, others),
    )
    return found, confusion_matrix(test, answers[1].test.argmax(axis=1), labels=range(count))


def encode_splits(model: Measured, splits: Splits) -> Encoded:
    """Encode every picture once."""

    def vectors(part: Pictures, what: str) -> Vectors:
        return Vectors(model.vectors(part.files, what), part.labels)

    return Encoded(vectors(splits.train, "train"), vectors(splits.val, "val"), vectors(splits.test, "test"))


def clip_answers(model: Measured, splits: Splits, encoded: Encoded, templates: Sequence[str]) -> list[Answers]:
    """Classify CLIP's embeddings with each head."""
    heads = [
        *text_heads(splits.classes, templates, model.encoder, model.config.logit_scale),
        linear_probe(encoded.train, encoded.val),
        nearest(encoded.train, encoded.val, len(splits.classes)),
    ]
    tower = bundle_milliseconds(model.bundle)
    weights = sum(path.stat().st_size for path in model.bundle.folder.glob("visual*"))

    def answers(head: Head) -> Answers:
        one = encoded.test.vectors[:1]
        took = tower + milliseconds(lambda: head.answer(one))
        val, test = head.answer(encoded.val.vectors), head.answer(encoded.test.vectors)
        return Answers(head.name, head.made, val, test, took, (weights + head.bytes) / 1e6)

    return [answers(head) for head in heads]


def cnn_answers(kept: Predictions, classes: int) -> Answers:
    """Return the CNN's predictions; its speed is measured here, on the same network with other weights."""
    network, _ = build(kept.architecture, classes, kept.size)
    took = network_milliseconds(network, kept.size)
    size = 4 * sum(weight.numel() for weight in network.parameters()) / 1e6
    start = "ImageNet's weights" if kept.pretrained else "from scratch"
    made = f"{kept.architecture}, {start}, {kept.epochs} epochs at {kept.train_size} px"
    return Answers(CNN, made, kept.val, kept.test, took, size)


def few_shots(train: Vectors, test: Vectors, classes: int, scale: float) -> list[Shots]:
    """Evaluate prototypes from a few pictures per class, with several draws for each number of them."""
    rows = []
    for shots in SHOTS:
        heads = [prototypes(train, shots, classes, scale, seed) for seed in range(SEEDS)]
        found = [accuracy(head.answer(test.vectors), test.labels) for head in heads]
        rows.append(Shots(shots, float(np.mean(found)), min(found), max(found)))
    return rows


def pairs(answers: Sequence[Answers], labels: Numbers) -> list[Pair]:
    """Compare every pair of classifiers, picture by picture."""
    right = {each.name: (each.test.argmax(axis=1) == labels).astype(float) for each in answers}
    return [
        Pair(a, b, float((right[a] - right[b]).mean()), float((right[a] - right[b]).std() / np.sqrt(len(labels))))
        for a, b in combinations(right, 2)
    ]


def confidence_of(model: Measured, spoken: Words, test: Vectors, others: dict[str, list[bytes]]) -> Confidence:
    """Measure the confidence of the bundle as served, on the test pictures and on pictures of other things.

    Without a margin the service does not answer `known`, so the report leaves it out too.
    """
    calibration = model.config.calibration
    said = calibration is not None and calibration.known_margin is not None
    strange = {DRAWN_NAME: drawn_pictures(REPORT_SEED)} | others if said else {}
    vectors = {name: model.vectors(files, name) for name, files in strange.items()}
    found = evidence(test.vectors, test.labels, spoken, model.config.logit_scale, vectors)
    return judge(found, calibration)
