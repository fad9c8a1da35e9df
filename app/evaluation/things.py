"""The command `things`: evaluate a bundle on sharp photographs of everyday things that it was not trained on.

The pictures are a parquet file with `image`, `synset` (WordNet's) and `name`. They are classified among all their
names, among everyday words (`everyday_words.txt`), and among the labels of the service, where they should not be
`known`.
"""

import argparse
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet

from app.evaluation.data import read_classes
from app.evaluation.model import open_measured
from app.model.engines import Floats
from app.recognition.vocabulary import encode, label_set, read_prompts
from app.recognition.zero_shot import Recogniser, Recognition
from app.training.words.kinds import FOODS
from app.training.words.wordnet import WordNet, read_wordnet

WORDS = Path(__file__).with_name("everyday_words.txt")
HALVES = {"first": 0, "second": 1}  # of every two pictures: for choices, for the report


@dataclass(frozen=True)
class Things:
    """Results as shares of the pictures."""

    pictures: int
    named: float
    """Top-1 among the names of all pictures of the file."""
    with_words: int
    """The number of pictures that an everyday word applies to."""
    in_words: float
    """The share of these with a best word that applies."""
    others: int
    """The number of pictures without food."""
    others_known: float
    others_counted: float
    """The share of these that are known and confident."""
    food: int
    food_known: float


@dataclass(frozen=True)
class Shown:
    """Pictures and their labels."""

    embeddings: Floats
    """(N, D)"""
    synsets: list[str]
    names: list[str]


def run(options: argparse.Namespace, data: Path) -> int:
    """Run the command; `data` is the cache of compiled models. Returns the exit status."""
    model, wordnet = open_measured(options.bundle, data), read_wordnet(options.wordnet)
    templates = read_prompts(options.templates)
    rows = pyarrow.parquet.read_table(options.data, columns=["image", "synset", "name"]).to_pylist()
    names = [row["name"] for row in rows]
    rows = rows[HALVES[options.half] :: 2] if options.half else rows
    embeddings = model.vectors([row["image"]["bytes"] for row in rows], "things")
    shown = Shown(embeddings, [row["synset"] for row in rows], [row["name"] for row in rows])
    labels = label_set(
        read_classes(options.classes),
        templates,
        model.encoder,
        model.background_in_use(read_prompts(options.background)),
    )
    margin = model.config.calibration.known_margin if model.config.calibration else None
    recogniser = Recogniser(labels, model.config.logit_scale, margin)
    answers = [recogniser.recognise(picture, top_k=5, threshold=0.8) for picture in embeddings]

    def name(texts: Sequence[str]) -> list[str]:
        """Return the nearest of some texts to each picture."""
        prototypes = encode([(text,) for text in texts], templates, model.encoder)
        return [texts[place] for place in (embeddings @ prototypes.T).argmax(axis=1)]

    found = measure(shown, name, names, wordnet, answers)
    lines = (f"{field.replace('_', ' '):<16}{value:8.4g}" for field, value in asdict(found).items())
    print(json.dumps(asdict(found)) if options.json else "\n".join(lines))
    return 0


def measure(
    shown: Shown,
    name: Callable[[Sequence[str]], list[str]],
    names: Sequence[str],
    wordnet: WordNet,
    answers: Sequence[Recognition],
) -> Things:
    """Compute all figures; `name` chooses among texts for each picture, `answers` are by the service's labels."""
    kinds = [wordnet.above(synset).keys() for synset in shown.synsets]
    every = {synset for kind in kinds for synset in kind}
    words = {word: _meaning(word, wordnet, every) for word in read_prompts(WORDS)}
    words = {word: synset for word, synset in words.items() if synset}
    worded = [any(synset in kind for synset in words.values()) for kind in kinds]
    right = [words[word] in kind for word, kind in zip(name(list(words)), kinds, strict=True)]
    food = np.array([bool(FOODS & kind) for kind in kinds])
    known = np.array([answer.known is True for answer in answers])
    counted = known & [answer.ranking.confident for answer in answers]
    return Things(
        pictures=len(kinds),
        named=float(np.mean([found == own for found, own in zip(name(names), shown.names, strict=True)])),
        with_words=sum(worded),
        in_words=float(np.mean(np.array(right)[worded])),
        others=int((~food).sum()),
        others_known=float(known[~food].mean()),
        others_counted=float(counted[~food].mean()),
        food=int(food.sum()),
        food_known=float(known[food].mean()),
    )


def _meaning(word: str, wordnet: WordNet, among: Collection[str]) -> str | None:
    """Return the most common meaning of a word that is among some synsets."""
    return next((synset for synset in wordnet.senses[word] if synset in among), None)
