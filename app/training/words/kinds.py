"""The things that the picture tower was trained to tell apart, and where they stand in WordNet.

ImageNet's classes are synsets. A grocery is the synset of its name where food of that name is known, or else a kind of
its own below the synset of its coarse class: a banana of the shop's is ImageNet's banana, a Royal Gala is an apple.
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
SPECIFIC = 130  # a kind with more classes below it says little of what it looks like
TWIN = 0.6  # what a grocery's own pictures count beside its half of what ImageNet's weights say of the same thing
FADE = 0.6  # how much less each step up the tree says
SHOP_NAMES = {"pepper": "sweet pepper", "oatghurt": "yogurt", "soyghurt": "yogurt"}  # where the food's name misleads


@dataclass(frozen=True)
class Kinds:
    """ImageNet's classes first, then the groceries, each with its synset; `wordnet` has all of them."""

    wordnet: WordNet
    synsets: tuple[str, ...]

    @cached_property
    def below(self) -> dict[str, list[int]]:
        """Each synset to the places of the classes that are of its kind."""
        found: dict[str, list[int]] = {}
        for place, synset in enumerate(self.synsets):
            for above in self.wordnet.above(synset):
                found.setdefault(above, []).append(place)
        return found

    @cached_property
    def at(self) -> dict[str, list[int]]:
        """Each class's synset to its places: a grocery may be one of ImageNet's too."""
        found: dict[str, list[int]] = {}
        for place, synset in enumerate(self.synsets):
            found.setdefault(synset, []).append(place)
        return found

    def shares(self, synset: str) -> Floats:
        """The classes (C,) that a kind consists of, each child kind with the same share of it; zeros for none."""
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
        """The classes (C,) of which the class at a place consists: mostly itself, somewhat those of the same synset."""
        shares = (1 - TWIN) * self.shares(self.synsets[place])
        shares[place] += TWIN
        return shares

    def usual(self, name: str, synset: str) -> bool:
        """Whether a name's first meaning is this one, or a class has it."""
        return synset in self.at or self.wordnet.senses.get(name.lower(), [synset])[0] == synset

    @cached_property
    def _shares(self) -> dict[str, Floats]:
        return {}

    def near(self, synset: str) -> tuple[Floats, float]:
        """The classes (C,) that a synset is most like, its own or its ancestors', and how surely, up to 1."""
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
        """1 for classes that are food, 0 for others (C,)."""
        return np.array([bool(FOODS & self.wordnet.above(synset).keys()) for synset in self.synsets], np.float32)

    def tree(self, size: int = 128) -> Floats:
        """Embeddings (C, size) whose inner products say how much of their ancestry two classes share, 1 for all."""
        above = {synset: place for place, synset in enumerate(sorted(self.below))}
        marks = np.zeros((len(self.synsets), len(above)), np.float32)
        for synset, classes in self.below.items():
            weight = 1.0 if synset in self.at else np.log(len(self.synsets) / len(classes)) / np.log(len(self.synsets))
            marks[classes, above[synset]] = np.sqrt(weight)
        marks /= np.linalg.norm(marks, axis=1, keepdims=True)
        values, axes = np.linalg.eigh(marks.astype(np.float64) @ marks.T)  # in rising order
        return np.asarray(axes[:, -size:] * np.sqrt(np.maximum(values[-size:], 0)), np.float32)


def imagenet_synsets() -> list[str]:
    """The synsets of ImageNet's 1,000 classes in their order, as timm lists them; raises TrainingError."""
    timm = importlib.util.find_spec("timm")  # found, not imported: that takes seconds
    if timm is None or timm.origin is None:
        raise TrainingError("timm is not installed: pip install -r requirements-model.txt")
    return (Path(timm.origin).parent / "data/_info/imagenet_synsets.txt").read_text(encoding="ascii").split()


def read_kinds(wordnet: WordNet, classes: Path) -> Kinds:
    """ImageNet's classes and the groceries of a classes.csv (label, name, coarse_name); raises TrainingError."""
    with classes.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["label"]))
    synsets = dict(wordnet.synsets)
    groceries = list(_groceries(wordnet, synsets, [(row["name"], row["coarse_name"]) for row in rows]))
    return Kinds(WordNet(synsets, wordnet.senses), (*imagenet_synsets(), *groceries))


def _groceries(wordnet: WordNet, synsets: dict[str, Synset], rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The synset of each grocery (fine and coarse name); those that WordNet lacks are added to `synsets`."""
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
    """The most usual sense of a name, its singular or its last word that is a food."""
    name = name.lower().replace("-", " ")
    for word in (SHOP_NAMES.get(name, name), name.split()[-1], name.rstrip("s")):
        for synset in wordnet.senses.get(word, ()):
            if FOODS & wordnet.above(synset).keys():
                return synset
    return None
