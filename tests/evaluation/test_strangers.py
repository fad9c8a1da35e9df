"""Photographs that are recognised as taught items which they do not show."""

import numpy as np
import pytest

from app.evaluation.strangers import ITEMS, SHOWN, draws, see, summary, words_above
from app.recognition.few_shot import ImageAlignment, fit_few_shot
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import Recogniser
from app.training.words.wordnet import Synset, WordNet

SYNSETS = [f"n{number}" for number in range(8)]  # two photographs of each of four kinds
WORDNET = WordNet(
    {name: Synset((name,), (f"k{number // 2}",), "") for number, name in enumerate(SYNSETS)}
    | {f"k{number}": Synset((f"kind{number}",), (), "") for number in range(4)},
    {f"kind{number}": [f"k{number}"] for number in range(4)},
)


def test_words_are_kinds_one_or_two_steps_above():
    """Each photograph has the word of its kind, and no other."""
    words = words_above(SYNSETS, WORDNET)
    assert words.words == ["kind0", "kind1", "kind2", "kind3"]
    assert words.applies.tolist() == words.near.tolist() == np.repeat(np.eye(4, dtype=bool), 2, axis=0).tolist()


def test_strangers_and_others_of_the_kind_are_counted():
    """A photograph like its kind's teacher counts as it; a stranger that looks like a taught item is one too many."""
    words, food = words_above(SYNSETS, WORDNET), np.zeros(8, bool)
    draw = np.array([0, 2, 4, 5]), np.array([0, 1, 2, 2])  # nothing of the last kind: photographs 6 and 7 are strangers
    vectors = np.repeat(np.eye(8, dtype=np.float32)[:4], 2, axis=0)
    vectors[7] = vectors[0]  # looks like the first item
    prototypes = np.concatenate([np.eye(8, dtype=np.float32)[[7]], -vectors[draw[0]]])
    index = fit_few_shot(
        [(1 + place, vectors[item]) for place, item in enumerate(draw[0])],
        prototypes,
        ImageAlignment(None, None, (0.0,), means=True, known=0.9),
    )
    labels = (Label("tea"), *(Label(f"taught {place}") for place in range(ITEMS)))
    label_set = LabelSet(labels, prototypes, "1", index, rivals=np.eye(8, dtype=np.float32)[[6]])
    taught, counted, kind_counted, kind = see(Recogniser(label_set, 100.0, 0.0), draw, vectors, words, food)
    assert counted == pytest.approx(SHOWN / 2)
    assert taught >= counted
    assert (kind_counted, kind) == (2, 2)  # photographs 1 and 3


def test_draws_are_the_same_each_time():
    """A draw has four different photographs, each with its own word."""
    words = words_above(SYNSETS, WORDNET)
    first, second = (list(draws(words, np.zeros(8, bool), 3)) for _ in range(2))
    for (items, chosen), (again, its) in zip(first, second, strict=True):
        assert (items.tolist(), chosen.tolist()) == (again.tolist(), its.tolist())
        assert len(set(items)) == ITEMS
        assert words.near[items, chosen].all()


def test_the_summary_is_a_mean_over_draws():
    """Its last figure weights draws by their number of others of a kind."""
    found = summary([(10.0, 3.0, 1, 2), (20.0, 1.0, 0, 2)])
    assert (found.taught, found.counted, found.most, found.over_two, found.kind_counted) == (15.0, 2.0, 3.0, 0.5, 0.25)
