"""Texts and their target embeddings: names of all kinds of things, from WordNet and the shop.

The target of a class is its weights or pictures, that of a kind the mean of its classes, and that of another noun lies
near its most similar kinds, with less certainty the further away these are. Texts have weights in the fit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.model.engines import Floats
from app.training.words.kinds import Kinds

PHYSICAL = "n00001930"  # what can be seen
LEAST = 0.3  # certainty that a noun needs of its similar kinds
BROAD = 600  # classes below a kind that is too broad to be visible
NEIGHBOUR = 0.1  # weight of a noun without classes below it


@dataclass(frozen=True)
class Texts:
    """Texts, the mixture of classes that each stands for (N, C), and the weights (N,)."""

    texts: list[str]
    shares: Floats
    weights: Floats


Row = tuple[str, Floats, float]


def collect(kinds: Kinds, labels: Sequence[Sequence[str]]) -> Texts:
    """Collect all texts to fit; `labels` are the names of the groceries, the last classes, in order."""
    texts, shares, weights = zip(*_groceries(kinds, labels), *_nouns(kinds, labels), strict=True)
    return Texts(list(texts), np.stack(shares).astype(np.float32), np.array(weights, np.float32))


def _groceries(kinds: Kinds, labels: Sequence[Sequence[str]]) -> Iterator[Row]:
    for place, names in enumerate(labels, start=len(kinds.synsets) - len(labels)):
        yield from ((name, kinds.own(place), 1.0) for name in names)


def _nouns(kinds: Kinds, labels: Sequence[Sequence[str]]) -> Iterator[Row]:
    taken = {name.lower() for names in labels for name in names}  # a kiwi is a fruit here, not a bird
    for synset, one in kinds.wordnet.synsets.items():
        shares, sure = kinds.near(synset)
        known = synset in kinds.below
        if sure < LEAST or (known and len(kinds.below[synset]) > BROAD) or PHYSICAL not in kinds.wordnet.above(synset):
            continue
        names = [name for name in one.names if kinds.usual(name, synset) and name.lower() not in taken]
        if known:
            yield from ((name, shares, 1.0) for name in names)
        else:
            simple = [name for name in names if name.islower() and name.count(" ") < 2]
            yield from ((name, shares, NEIGHBOUR * sure) for name in simple)
