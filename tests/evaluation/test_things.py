"""Metrics on photographs of everyday things."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from app.evaluation.things import WORDS, Shown, measure
from app.recognition.vocabulary import read_prompts
from app.training.words.wordnet import Synset, WordNet

NAMES = ["beagle", "tabby", "banana"]
WORDNET = WordNet(
    {
        "n1": Synset(("beagle",), ("n4",), ""),
        "n2": Synset(("tabby",), ("n5",), ""),
        "n3": Synset(("banana",), ("n00021265",), ""),
        "n4": Synset(("dog",), (), ""),
        "n5": Synset(("cat",), (), ""),
        "n00021265": Synset(("food",), (), ""),
    },
    {word: [] for word in read_prompts(WORDS)} | {"dog": ["n9", "n4"], "cat": ["n5"]},
)


def answer(known: bool | None, confident: bool) -> SimpleNamespace:
    return SimpleNamespace(known=known, ranking=SimpleNamespace(confident=confident))


def choose(texts: Sequence[str]) -> list[str]:
    """The first picture is named correctly, the second wrongly, the third correctly; words: right, wrong, any."""
    return ["beagle", "banana", "banana"] if "beagle" in texts else ["dog", "dog", "cat"]


@pytest.fixture
def found():
    shown = Shown(np.empty((3, 0), np.float32), ["n1", "n2", "n3"], NAMES)
    answers = [answer(True, True), answer(True, False), answer(True, True)]
    return measure(shown, choose, NAMES, WORDNET, answers)


def test_names_count_where_they_are_the_pictures_own(found):
    """Two of three pictures get their own name."""
    assert found.named == pytest.approx(2 / 3)


def test_a_word_is_right_where_it_is_a_kind_of_what_is_shown(found):
    """A beagle is a dog, a tabby is not; a banana has no word and does not count."""
    assert found.with_words == 2
    assert found.in_words == 0.5


def test_food_is_kept_apart_from_other_things(found):
    """Both of the two other things are known and one would be counted; the banana counts as food."""
    assert (found.others, found.others_known, found.others_counted) == (2, 1.0, 0.5)
    assert (found.food, found.food_known) == (1, 1.0)
