"""The command `unseen`: groceries that a model never saw are taught to it, and what it makes of them afterwards.

For each split some classes are left out, a small CLIP is trained on the rest, and the others are taught by a few of
their training pictures. Runs that are there already are measured again without training.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.errors import TrainingError
from app.evaluation.data import Numbers
from app.evaluation.heads import SHOTS, Vectors
from app.evaluation.left_out import Split, draw_split, write_split
from app.evaluation.likeness import fit
from app.model.engines import Floats
from app.recognition.few_shot import ImageAlignment, fit_few_shot

DRAWS = 5  # of the pictures that teach
KEPT_BACK = max(SHOTS)  # pictures of a class that teach at most; the rest of its training pictures tests too


@dataclass(frozen=True)
class Shares:
    """Shares of pictures that get the right one of all labels; means over draws, and over the classes taught."""

    shots: int
    unseen: float
    """Of classes that were taught, on the test pictures."""
    same_shop: float
    """The same, on the training pictures of these classes that did not teach."""
    seen: float
    """Of all other classes, on the test pictures."""


@dataclass(frozen=True)
class Measured:
    """One split: nothing taught (0 shots), all left-out classes taught together, and each taught alone."""

    seed: int
    minutes: float
    nothing: Shares
    together: list[Shares]
    alone: list[Shares]


@dataclass(frozen=True)
class Views:
    """Vectors of one split's model, all with the numbers of the whole data's classes, and how it compares pictures."""

    prototypes: Floats
    train: Vectors
    test: Vectors
    split: Split
    alignment: ImageAlignment


def run(options: argparse.Namespace) -> int:
    """Write the splits, train what is not trained, measure; returns the exit status."""
    from app.training.data import read_classes

    labels = options.labels
    count = len(read_classes(options.data / "grocery/classes.csv").coarse_of)
    found = []
    for seed in range(options.splits):
        folder = options.keep / str(seed)
        if not (folder / "split.json").exists():
            write_split(draw_split(seed, count, options.leave), options.data, labels, folder)
        train(folder, seed, options)
        views, minutes = encode(folder, options)
        found.append(measure(seed, minutes, views))
        print(table(found[-1:]) if not options.json else json.dumps(asdict(found[-1])), flush=True)
    if options.out:
        options.out.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n", encoding="utf-8")
        draw(found, options.out.with_suffix(".png"))
    if not options.json:
        print("mean of all splits\n" + table(found))
    return 0


def train(folder: Path, seed: int, options: argparse.Namespace) -> None:
    """Train on a split, or go on with the run that was stopped; raises TrainingError."""
    from app.training.__main__ import main

    words = ["train", str(folder / "data"), "--keep", str(folder / "run"), "--labels", str(folder / "labels")]
    words += ["--recipe", "groceries", "--seed", str(seed), *(f"--set={each}" for each in options.set)]
    if not (folder / "run/run.json").exists() and main(words):
        raise TrainingError(f"{folder} could not be trained")


def encode(folder: Path, options: argparse.Namespace) -> tuple[Views, float]:
    """The vectors of a split's model, and how long it was trained, in minutes."""
    from app.training.data import read_classes
    from app.training.finish import prompts_of, read_vectors
    from app.training.runs import open_run

    split, trained = Split.load(folder), open_run(folder / "run")
    classes = read_classes(folder / "data/grocery/classes.csv")
    prompts = prompts_of(trained.model, trained.tokenizer, classes, folder / "labels").pantry
    prototypes = prompts[np.argsort(split.kept + split.left_out)]

    def vectors(name: str) -> Vectors:
        found = read_vectors(trained.model, options.data / f"grocery/{name}.parquet", trained.options.image_size)
        return Vectors(found.pictures, found.labels)

    every = vectors("train")
    seen = np.isin(every.labels, split.kept)
    alignment = fit(every.vectors[seen], every.labels[seen], prototypes, options.margin, options.scale)
    return Views(prototypes, every, vectors(options.test), split, alignment), trained.minutes


def measure(seed: int, minutes: float, views: Views) -> Measured:
    """All figures of one split."""
    left = views.split.left_out
    return Measured(
        seed,
        minutes,
        nothing=share(views, left, 0, 0),
        together=[mean([share(views, left, shots, draw) for draw in range(DRAWS)]) for shots in SHOTS],
        alone=[mean([share(views, [one], shots, draw) for one in left for draw in range(DRAWS)]) for shots in SHOTS],
    )


def share(views: Views, taught: Sequence[int], shots: int, draw: int) -> Shares:
    """Teach some classes by `shots` pictures each and see; the names of all classes are labels, taught or not."""
    dice, examples, rest = np.random.default_rng(draw), [], []
    for one in taught:
        order = dice.permutation(np.flatnonzero(views.train.labels == one))
        examples += [(one, vector) for vector in views.train.vectors[order[:shots]]]
        rest += order[KEPT_BACK:].tolist()
    index = fit_few_shot(examples, views.prototypes, views.alignment)

    def right(pictures: Floats, labels: Numbers) -> float:
        if not len(labels):
            return np.nan
        cosines = pictures @ views.prototypes.T  # (P, N)
        if index:
            cosines = np.stack([index.adjusted_similarities(*each) for each in zip(cosines, pictures, strict=True)])
        return float((cosines.argmax(axis=1) == labels).mean())

    new, old = np.isin(views.test.labels, taught), np.isin(views.test.labels, views.split.kept)
    return Shares(
        shots,
        unseen=right(views.test.vectors[new], views.test.labels[new]),
        same_shop=right(views.train.vectors[rest], views.train.labels[rest]),
        seen=right(views.test.vectors[old], views.test.labels[old]),
    )


def mean(shares: Sequence[Shares]) -> Shares:
    """The mean of shares with equal shots; what has no pictures counts for nothing."""
    names = ("unseen", "same_shop", "seen")
    return Shares(shares[0].shots, *(float(np.nanmean([getattr(each, name) for each in shares])) for name in names))


def draw(found: Sequence[Measured], path: Path) -> None:
    """The curve over the number of examples, the mean of all splits, from names alone."""
    from app.evaluation.plots import by_examples

    def line(how: str, what: str) -> list[float]:
        rows = [mean([each.nothing for each in found])]
        rows += [mean([getattr(each, how)[place] for each in found]) for place in range(len(SHOTS))]
        return [getattr(row, what) for row in rows]

    by_name = [mean([each.nothing for each in found]).unseen] * (len(SHOTS) + 1)
    lines = {
        "one new class, test pictures": line("alone", "unseen"),
        "one new class, other pictures of the same shoots": line("alone", "same_shop"),
        "all new classes, test pictures": line("together", "unseen"),
        "old classes, one new class": line("alone", "seen"),
        "old classes, all new classes": line("together", "seen"),
        "new classes by their names alone": by_name,
    }
    by_examples([0, *SHOTS], lines, path)


def table(found: Sequence[Measured]) -> str:
    """Lines of figures, the mean of some splits."""
    lines = [f"{'':<18}shots  unseen  same shop  seen"]
    nothing = mean([each.nothing for each in found])
    lines.append(_line("names alone", nothing))
    for name in ("together", "alone"):
        shares = [mean([getattr(each, name)[place] for each in found]) for place in range(len(SHOTS))]
        lines += [_line(f"taught {name}", each) for each in shares]
    return "\n".join(lines)


def _line(name: str, shares: Shares) -> str:
    return f"{name:<18}{shares.shots:5}  {shares.unseen:6.1%}  {shares.same_shop:9.1%}  {shares.seen:5.1%}"
