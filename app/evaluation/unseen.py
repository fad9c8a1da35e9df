"""The command `unseen`: few-shot recognition of groceries that the tower was not trained on.

Each split leaves some classes out, tunes a tower on the rest, and teaches the others by a few of their training
pictures. Existing runs are measured again without training. The margins of few-shot labels are fitted on `val`: for
each number of examples the largest at which the other classes lose no more than LOSS.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from app.evaluation.data import Numbers
from app.evaluation.heads import SHOTS, Vectors
from app.evaluation.left_out import Split, draw_split, write_split
from app.model.encoder import unit
from app.model.engines import Floats
from app.recognition.few_shot import ImageAlignment, apply_affine, fit_few_shot

DRAWS = 3  # draws of the support examples
KEPT_BACK = max(SHOTS)  # support examples of a class at most; the rest of its training pictures are test pictures too
LOSS = 0.01  # share of the other classes' `val` pictures that one taught label may take


@dataclass(frozen=True)
class Shares:
    """Accuracy among all labels; means over the draws and the taught classes."""

    shots: int
    margin: float
    unseen: float
    """Of taught classes, on the test pictures."""
    same_shop: float
    """Of taught classes, on the training pictures that are no support examples."""
    seen: float
    """Of all other classes, on the test pictures."""


@dataclass(frozen=True)
class Measured:
    """One split: nothing taught (0 shots), and each left-out class taught alone."""

    seed: int
    nothing: Shares
    alone: list[Shares]


@dataclass(frozen=True)
class Views:
    """Embeddings of one split's tower; prototypes of left-out classes are zero, as no picture fitted them."""

    prototypes: Floats
    train: Vectors
    val: Vectors
    test: Vectors
    split: Split
    alignment: ImageAlignment


def run(options: argparse.Namespace, _data: Path) -> int:
    """Write the splits, train missing runs, measure; returns the exit status."""
    from app.training.data import read_classes

    count = len(read_classes(options.data / "grocery/classes.csv").coarse_of)
    found = []
    for seed in range(options.splits):
        folder = options.keep / str(seed)
        if not (folder / "split.json").exists():
            write_split(draw_split(seed, count, options.leave), options.data, options.labels, folder)
        train(folder, seed, options.steps)
        found.append(measure(seed, encode(folder, options.data, options.test)))
        print(table(found[-1:]) if not options.json else json.dumps(asdict(found[-1])), flush=True)
    if options.out:
        options.out.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n", encoding="utf-8")
        draw(found, options.out.with_suffix(".png"))
    if not options.json:
        print("mean of all splits\n" + table(found))
    return 0


def train(folder: Path, seed: int, steps: int) -> None:
    """Tune a tower on a split, or resume the stopped run."""
    from app.training.tower.options import Stage, TowerOptions
    from app.training.tower.pictures import open_source
    from app.training.tower.train import Trainer
    from app.training.tower.train import run as go

    options = TowerOptions(
        seed=seed, stages=(Stage(steps * 7 // 10, 224, 6, 0.25), Stage(steps - steps * 7 // 10, 224, 6, 0.25, 1.0, 0.0))
    )
    options.save(folder / "options.json")
    go(Trainer(options, open_source(folder / "data", options)), folder)


def encode(folder: Path, data: Path, test: str) -> Views:
    """Encode with a split's tower, in a space that was fitted without the left-out classes."""
    from app.training.tower.features import EVERYDAY, FeatureExtractor
    from app.training.words.__main__ import make_space
    from app.training.words.kinds import read_kinds
    from app.training.words.space import taught
    from app.training.words.wordnet import FOLDER, read_wordnet

    split, path = Split.load(folder), folder / "features.npz"
    if not path.exists():
        extractor = FeatureExtractor("lite2", folder / "checkpoint.pt")
        files = {name: extractor.read(data / f"grocery/{name}.parquet") for name in ("train", "val", "test_sample")}
        seen: dict[str, np.ndarray] = {f"all_{name}": each.features for name, each in files.items()}
        seen |= {f"all_{name}_labels": each.labels for name, each in files.items()}
        kept = np.isin(files["train"].labels, split.kept)
        seen |= {
            "train": files["train"].features[kept],
            "train_labels": np.searchsorted(split.kept, files["train"].labels[kept]),
        }
        seen["everyday"] = extractor.read(data / "cifar10/train.parquet", EVERYDAY).features
        np.savez(path, **seen)  # type: ignore[arg-type]  # no name is "allow_pickle"
    space = make_space(path, read_kinds(read_wordnet(FOLDER), folder / "data/grocery/classes.csv"))
    things, groceries = len(space.classifier), len(split.kept)
    shares = np.eye(things + groceries, dtype=np.float32)[things:]  # (G, I + G): one-hot, each grocery is itself alone
    prototypes = np.zeros((groceries + len(split.left_out), space.names(shares).shape[1]), np.float32)
    prototypes[split.kept] = space.names(shares)
    with np.load(path) as kept_file:
        views = {
            name: Vectors(space.pictures(kept_file[f"all_{name}"]), kept_file[f"all_{name}_labels"])
            for name in ("train", "val", test)
        }
    return Views(prototypes, views["train"], views["val"], views[test], split, taught())


def measure(seed: int, views: Views) -> Measured:
    """Compute all figures of one split."""
    left, found = views.split.left_out, []
    for shots in SHOTS:
        margin = fit_margin(views, shots)
        found.append(mean([share(views, one, shots, draw, margin) for one in left for draw in range(DRAWS)]))
    return Measured(seed, mean([share(views, one, 0, 0, 0.0) for one in left]), found)


def fit_margin(views: Views, shots: int) -> float:
    """Fit the margin at which a label taught by `shots` pictures takes LOSS of the other classes' `val` pictures."""
    cosines = views.val.vectors @ views.prototypes.T  # (P, C)
    old = np.isin(views.val.labels, views.split.kept)
    right = old & (cosines.argmax(axis=1) == views.val.labels)
    pictures = apply_affine(views.val.vectors[right], views.alignment.images)
    best = (pictures @ apply_affine(views.prototypes, views.alignment.texts).T).max(axis=1)
    leads = []
    for one in views.split.left_out:
        for draw in range(DRAWS):
            chosen, _ = drawn(views, one, shots, draw)
            examples = apply_affine(views.train.vectors[chosen], views.alignment.images)
            leads.append(pictures @ unit(examples.sum(axis=0)) - best)
    return float(-np.quantile(np.concatenate(leads), 1 - LOSS * old.sum() / right.sum()))


def drawn(views: Views, one: int, shots: int, draw: int) -> tuple[Numbers, Numbers]:
    """Draw the rows of `shots` training pictures that teach a class, and of those that never do."""
    order = np.random.default_rng(draw).permutation(np.flatnonzero(views.train.labels == one))
    return order[:shots], order[KEPT_BACK:]


def share(views: Views, one: int, shots: int, draw: int, margin: float) -> Shares:
    """Teach a class by `shots` pictures and measure, with the names of all kept classes as labels."""
    chosen, rest = drawn(views, one, shots, draw)
    alignment = replace(views.alignment, margins=(margin,))
    index = fit_few_shot([(one, vector) for vector in views.train.vectors[chosen]], views.prototypes, alignment)

    def right(pictures: Floats, labels: Numbers) -> float:
        if not len(labels):
            return np.nan
        cosines = pictures @ views.prototypes.T  # (P, N)
        if index:
            cosines = index.adjusted_similarities(cosines, pictures)
        return float((cosines.argmax(axis=1) == labels).mean())

    new, old = views.test.labels == one, np.isin(views.test.labels, views.split.kept)
    return Shares(
        shots,
        margin,
        unseen=right(views.test.vectors[new], views.test.labels[new]),
        same_shop=right(views.train.vectors[rest], views.train.labels[rest]),
        seen=right(views.test.vectors[old], views.test.labels[old]),
    )


def mean(shares: Sequence[Shares]) -> Shares:
    """Average shares with equal shots, ignoring those without pictures."""
    names = ("margin", "unseen", "same_shop", "seen")
    return Shares(shares[0].shots, *(float(np.nanmean([getattr(each, name) for each in shares])) for name in names))


def draw(found: Sequence[Measured], path: Path) -> None:
    """Plot the mean of all splits over the number of examples."""
    from app.evaluation.plots import by_examples

    def line(what: str) -> list[float]:
        rows = [mean([each.nothing for each in found])]
        rows += [mean([each.alone[place] for each in found]) for place in range(len(SHOTS))]
        return [getattr(row, what) for row in rows]

    lines = {
        "one new class, test pictures": line("unseen"),
        "one new class, other pictures of the same shoots": line("same_shop"),
        "old classes": line("seen"),
    }
    by_examples([0, *SHOTS], lines, path)


def table(found: Sequence[Measured]) -> str:
    """Format the mean of some splits as lines."""
    rows = [mean([each.nothing for each in found])]
    rows += [mean([each.alone[place] for each in found]) for place in range(len(SHOTS))]
    lines = ["examples  margin  unseen  same shop  seen"]
    return "\n".join(
        lines + [f"{r.shots:8}  {r.margin:6.3f}  {r.unseen:6.1%}  {r.same_shop:9.1%}  {r.seen:5.1%}" for r in rows]
    )
