"""The classes that the picture tower was trained on, and their places in WordNet.

ImageNet's classes are synsets. A grocery has the synset of its name if that is a food, otherwise a new synset below
that of its coarse class: a banana of the shop is ImageNet's banana, a Royal Gala is an apple.
"""

import csv
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from app.errors import TrainingError
from app.model.engines import Floats
from app.training.words.wordnet import Synset, WordNet

FOODS = {"n00021265", "n07555863", "n07570720"}  # "food" as substance, as solid, and "nutriment"
SPECIFIC = 130  # a kind with more classes below it says little about its looks
TWIN = 0.6  # weight of a grocery's own pictures, relative to half of ImageNet's weights for the same thing
FADE = 0.6  # decay of the evidence with each step up the tree
SHOP_NAMES = {
    "pepper": "sweet pepper",
    "oatghurt": "yogurt",
    "soyghurt": "yogurt",
}  # where the food's name misleads


@dataclass(frozen=True)
class Kinds:
    """ImageNet's classes, then the groceries, each with its synset; `wordnet` has all of them."""

    wordnet: WordNet
    synsets: tuple[str, ...]

    @cached_property
    def below(self) -> dict[str, list[int]]:
        """Map each synset to the indices of the classes below it."""
        found: dict[str, list[int]] = {}
        for place, synset in enumerate(self.synsets):
            for above in self.wordnet.above(synset):
                found.setdefault(above, []).append(place)
        return found

    @cached_property
    def at(self) -> dict[str, list[int]]:
        """Map each class's synset to its indices: a grocery may also be an ImageNet class."""
        found: dict[str, list[int]] = {}
        for place, synset in enumerate(self.synsets):
            found.setdefault(synset, []).append(place)
        return found

    def shares(self, synset: str) -> Floats:
        """Return the mixture of classes (C,) that makes up a kind, its child kinds in equal shares; zeros if none."""
        if synset in self._shares:
            return self._shares[synset]
        shares = np.zeros(len(self.synsets), np.float32)
        if synset in self.at:
            shares[self.at[synset]] = 1 / len(self.at[synset])
        else:
            children = [child for child in self.wordnet.children.get(synset, ()) if child in self.below]
            for child in children:
                shares += self.shares(child) / len(children)
        self._shares[synset] = shares
        return shares

    def own(self, place: int) -> Floats:
        """Return the mixture of classes (C,) for one class: mostly itself, partly others with the same synset."""
        shares = (1 - TWIN) * self.shares(self.synsets[place])
        shares[place] += TWIN
        return shares

    def usual(self, name: str, synset: str) -> bool:
        """Return whether this is the first meaning of the name, or that of a class."""
        return synset in self.at or self.wordnet.senses.get(name.lower(), [synset])[0] == synset

    @cached_property
    def _shares(self) -> dict[str, Floats]:
        return {}

    def near(self, synset: str) -> tuple[Floats, float]:
        """Return the classes (C,) most like a synset, by itself or its ancestors, and the certainty, at most 1."""
        if synset in self.below:
            return self.shares(synset), 1.0
        found = [
            (steps, self.shares(above))
            for above, steps in self.wordnet.above(synset).items()
            if above in self.below and len(self.below[above]) <= SPECIFIC
        ]
        if not found:
            return np.zeros(len(self.synsets), np.float32), 0.0
        shares = sum(FADE**steps * each for steps, each in found)
        return np.asarray(shares / np.sum(shares), np.float32), float(FADE ** min(steps for steps, _ in found))

    @cached_property
    def food(self) -> Floats:
        """Return 1 for classes that are food, 0 for others (C,)."""
        return np.array([bool(FOODS & self.wordnet.above(synset).keys()) for synset in self.synsets], np.float32)

    def tree(self, size: int = 128) -> Floats:
        """Return embeddings (C, size) whose inner products are the share of ancestry that two classes have."""
        above = {synset: place for place, synset in enumerate(sorted(self.below))}
        marks = np.zeros((len(self.synsets), len(above)), np.float32)
        for synset, classes in self.below.items():
            weight = 1.0 if synset in self.at else np.log(len(self.synsets) / len(classes)) / np.log(len(self.synsets))
            marks[classes, above[synset]] = np.sqrt(weight)
        marks /= np.linalg.norm(marks, axis=1, keepdims=True)
        values, axes = np.linalg.eigh(marks.astype(np.float64) @ marks.T)  # ascending
        return np.asarray(axes[:, -size:] * np.sqrt(np.maximum(values[-size:], 0)), np.float32)


def imagenet_synsets() -> list[str]:
    """Return the synsets of ImageNet's 1,000 classes, in the order of timm; raises TrainingError."""
    timm = importlib.util.find_spec("timm")  # located, not imported: the import takes seconds
    if timm is None or timm.origin is None:
        raise TrainingError("timm is not installed: pip install -r requirements-model.txt")
    return (Path(timm.origin).parent / "data/_info/imagenet_synsets.txt").read_text(encoding="ascii").split()


def read_kinds(wordnet: WordNet, classes: Path) -> Kinds:
    """Read ImageNet's classes and the groceries of a classes.csv (label, name, coarse_name); raises TrainingError."""
    with classes.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["label"]))
    synsets = dict(wordnet.synsets)
    groceries = list(_groceries(wordnet, synsets, [(row["name"], row["coarse_name"]) for row in rows]))
    return Kinds(WordNet(synsets, wordnet.senses), (*imagenet_synsets(), *groceries))


def _groceries(wordnet: WordNet, synsets: dict[str, Synset], rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the synset of each grocery (fine and coarse name); adds those that WordNet lacks to `synsets`."""
    coarse_names = [coarse for _, coarse in rows]
    for fine, coarse in rows:
        kind = _food(wordnet, coarse)
        if kind is None:
            raise TrainingError(f"WordNet has no food by the name of {coarse!r}")
        own = _food(wordnet, fine.replace("-", " ")) if coarse_names.count(coarse) > 1 else kind
        if own is None or own == kind or kind not in wordnet.above(own):
            own = kind if coarse_names.count(coarse) == 1 else f"grocery {fine}"
        synsets.setdefault(own, Synset((fine.replace("-", " ").lower(),), (kind,), ""))
        yield own


def _food(wordnet: WordNet, name: str) -> str | None:
    """Return the most common sense of a name, its singular or its last word that is a food."""
    name = name.lower().replace("-", " ")
    for word in (SHOP_NAMES.get(name, name), name.split()[-1], name.rstrip("s")):
        for synset in wordnet.senses.get(word, ()):
            if FOODS & wordnet.above(synset).keys():
                return synset
    return None
