"""The command `strangers`: measure how often few-shot items are recognised in photographs of other things.

Each draw teaches four items by one photograph of `things` each. An item is named by a word for a kind of thing, one or
two steps above it in WordNet ("mug" for a coffee mug), because people name what they teach. Strangers are the
photographs without food that none of the four words applies to; the others are of the kind of one of them.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet

from app.evaluation.data import read_classes
from app.evaluation.model import open_measured
from app.evaluation.things import HALVES
from app.model.engines import Floats
from app.recognition.few_shot import ImageAlignment, fit_few_shot
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet, encode, label_set, read_prompts
from app.recognition.zero_shot import Recogniser
from app.training.words.kinds import FOODS
from app.training.words.wordnet import WordNet, read_wordnet

ITEMS = 4
BROADEST = 30  # photographs that a word may apply to; broader words such as "structure" are meaningless
SHOWN = 125  # photographs that a figure is based on


@dataclass(frozen=True)
class Strangers:
    """Means over the draws, for SHOWN strangers each."""

    draws: int
    taught: float
    """The number of false positives: strangers recognised as a taught item."""
    counted: float
    """The number of these that are confident and known."""
    most: float
    """The false positives of the worst draw."""
    over_two: float
    """The share of draws with more than two."""
    kind_counted: float
    """The share of other photographs of a taught word's kind that are recognised as the item."""


@dataclass(frozen=True)
class Words:
    """Words that name kinds of what photographs show."""

    words: list[str]
    applies: npt.NDArray[np.bool_]
    """Whether a word is a hypernym of what a photograph shows (N, W)."""
    near: npt.NDArray[np.bool_]
    """Whether it is one or two steps above it (N, W)."""


def run(options: argparse.Namespace, data: Path) -> int:
    """Run the command; `data` is the cache of compiled models. Returns the exit status."""
    model, wordnet = open_measured(options.bundle, data), read_wordnet(options.wordnet)
    templates = read_prompts(options.templates)
    rows = pyarrow.parquet.read_table(options.data, columns=["image", "synset"]).to_pylist()
    rows = rows[HALVES[options.half] :: 2] if options.half else rows
    words = words_above([row["synset"] for row in rows], wordnet)
    food = np.array([bool(FOODS & wordnet.above(row["synset"]).keys()) for row in rows])
    background = model.background_in_use(read_prompts(options.background))
    labels = label_set(read_classes(options.classes), templates, model.encoder, background)
    vectors = model.vectors([row["image"]["bytes"] for row in rows], "things")  # (N, D)
    names = encode([(word,) for word in words.words], templates, model.encoder)  # (W, D)
    alignment = ImageAlignment.load(model.bundle.likeness) if model.bundle.likeness else None
    margin = model.config.calibration.known_margin if model.config.calibration else None

    def taught(items: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]) -> Recogniser:
        """Build a recogniser that was taught these photographs under these words."""
        prototypes = np.concatenate([labels.prototypes, names[chosen]])
        first = len(labels.labels)
        index = fit_few_shot(
            [(first + place, vectors[item]) for place, item in enumerate(items)], prototypes, alignment
        )
        more = tuple(Label(f"taught {place}") for place in range(ITEMS))
        rivals = background.beside(prototypes)
        grown: LabelSet = replace(
            labels, labels=labels.labels + more, prototypes=prototypes, few_shot=index, rivals=rivals, levels=[]
        )
        return Recogniser(grown, model.config.logit_scale, margin)

    found = summary([see(taught(*each), each, vectors, words, food) for each in draws(words, food, options.draws)])
    lines = (f"{field.replace('_', ' '):<13}{value:8.4g}" for field, value in asdict(found).items())
    print(json.dumps(asdict(found)) if options.json else "\n".join(lines))
    return 0


Draw = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Photographs (ITEMS,) that teach, and the word (ITEMS,) of each."""


def draws(words: Words, food: npt.NDArray[np.bool_], count: int) -> Iterator[Draw]:
    """Yield the random draws, the same ones each time."""
    random = np.random.default_rng(0)
    candidates = np.flatnonzero(~food & words.near.any(axis=1))
    for _ in range(count):
        items = random.choice(candidates, ITEMS, replace=False)
        yield items, np.array([random.choice(np.flatnonzero(words.near[item])) for item in items])


def see(
    recogniser: Recogniser, draw: Draw, vectors: Floats, words: Words, food: npt.NDArray[np.bool_]
) -> tuple[float, float, int, int]:
    """Count SHOWN strangers recognised and counted as taught, others of the kinds counted, and their number."""
    items, chosen = draw
    strangers = ~food & ~words.applies[:, chosen].any(axis=1)
    taught, counted = 0, 0
    kind, kind_counted = 0, 0
    for number in np.flatnonzero(~np.isin(np.arange(len(vectors)), items)):
        answer = recogniser.recognise(vectors[number], top_k=5, threshold=0.8)
        name, counts = answer.label.name, answer.ranking.confident and answer.known is True
        own = [f"taught {place}" for place in np.flatnonzero(words.applies[number, chosen])]
        if strangers[number]:
            taught += name.startswith("taught ")
            counted += name.startswith("taught ") and counts
        elif own:
            kind += 1
            kind_counted += name in own and counts
    share = SHOWN / strangers.sum()
    return taught * share, counted * share, kind_counted, kind


def summary(seen: list[tuple[float, float, int, int]]) -> Strangers:
    """Average the draws."""
    taught, counted, kind_counted, kind = np.array(seen, float).T
    return Strangers(
        draws=len(seen),
        taught=float(taught.mean()),
        counted=float(counted.mean()),
        most=float(counted.max()),
        over_two=float((counted > 2).mean()),
        kind_counted=float(kind_counted.sum() / max(kind.sum(), 1)),
    )


def words_above(synsets: list[str], wordnet: WordNet) -> Words:
    """Return the words for kinds of what the photographs show, each in its most common meaning."""
    above = [wordnet.above(synset) for synset in synsets]
    every = {synset for each in above for synset in each}
    usual = {senses[0]: word for word, senses in reversed(wordnet.senses.items()) if senses and senses[0] in every}
    kinds = [synset for synset in sorted(usual) if sum(synset in each for each in above) <= BROADEST]
    return Words(
        [usual[synset].replace("_", " ") for synset in kinds],
        applies=np.array([[synset in each for synset in kinds] for each in above]),
        near=np.array([[1 <= each.get(synset, 0) <= 2 for synset in kinds] for each in above]),
    )
