"""Captions, the label file they start from, and the words they must not hold."""

import random
from pathlib import Path

import pytest

from app.text import clean
from app.training.captions import Captions, build_captions, plural, read_names, read_things

LABELS = Path("labels")
HERE = Path("app/training")
TRAINED = 81


@pytest.fixture
def captions() -> Captions:
    """The project's own captions over invented coarse classes."""
    coarse = [names[0] for names in read_names(HERE / "phrases_coarse.txt")]
    numbers = [min(place, len(coarse) - 1) for place in range(TRAINED)]
    groups = [place % 3 for place in range(TRAINED)]
    pantry = read_names(LABELS / "pantry.txt")[:TRAINED]
    return build_captions(pantry, numbers, coarse, groups, ["fruit", "packages", "vegetables"])


def test_every_trained_label_has_phrases_and_no_phrase_has_two_owners():
    """The phrases cover the first block of the label file, in its order, and name one class each."""
    pantry = read_names(LABELS / "pantry.txt")[:TRAINED]
    phrases = read_names(HERE / "phrases_fine.txt")
    assert [names[0] for names in phrases] == [names[0] for names in pantry]
    owned = [name for names, more in zip(pantry, phrases, strict=True) for name in {*names, *more}]
    assert sorted(owned) == sorted(set(owned))


def test_no_caption_names_an_unseen_good(captions):
    """What measures unknown words is never trained on, neither as a caption nor as a negative."""
    unseen = [name for names in read_names(LABELS / "pantry.txt")[TRAINED:] for name in names]
    words = captions.things + [
        name for part in (captions.fine, captions.coarse, captions.others) for n in part for name in n
    ]
    dice = random.Random(0)
    for _ in range(20):
        words += captions.fine_step(dice) + captions.coarse_step(dice) + captions.kind_step(dice)
        words += captions.other_step(dice) + captions.foreign_step(50, 50, dice)
    text = " | ".join(f" {word.strip('.')} " for word in words)
    assert len(unseen) >= 40
    assert [name for name in unseen if f" {name} " in text] == []


def test_a_step_has_one_caption_a_class(captions):
    """Every class is captioned in every step, and the same dice give the same captions."""
    assert len(captions.fine_step(random.Random(1))) == TRAINED
    assert len(captions.coarse_step(random.Random(1))) == len(captions.coarse)
    assert captions.foreign_step(7, 5, random.Random(1)) == captions.foreign_step(7, 5, random.Random(1))
    assert len(captions.foreign_step(7, 5, random.Random(1))) == 12


def test_other_things_are_many_and_not_groceries_we_know(captions):
    """The negatives are several hundred, none twice, and none is a name of a class."""
    things = read_things(HERE / "other_things.txt")
    known = {name for part in (captions.fine, captions.coarse) for names in part for name in names}
    assert len(things) >= 500
    assert sorted(things) == sorted(set(things))
    assert known.isdisjoint(things)


def test_text_is_cleaned_as_the_service_does():
    """Entities are resolved twice and white space is collapsed."""
    assert clean(" salt &amp;amp;  pepper\n") == "salt & pepper"


def test_plurals():
    """The last word takes a simple plural; masses have none."""
    assert [plural(name) for name in ("green apple", "tomato", "peach", "oat milk")] == [
        "green apples", "tomatoes", "peaches", "oat milk",
    ]  # fmt: skip
