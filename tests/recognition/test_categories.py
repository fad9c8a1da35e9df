"""Categories of live labels: read from the label file, scored level by level."""

import numpy as np
import pytest

from app.errors import InvalidLabels
from app.model.encoder import unit
from app.recognition.labels import merge, parse_labels
from app.recognition.vocabulary import LabelSet, category_levels
from app.recognition.zero_shot import Recogniser, Recognition

TREE = """
royal gala | gala @ apple @ fruit
fuji @ Apple @ fruit
plum @ fruit
leek @ vegetable
salt
me@home
"""


def test_categories_are_read_beside_synonyms():
    """Narrowest first, in the first spelling; an @ inside a word has no meaning; the pantry's items keep them."""
    labels = parse_labels(TREE, longest=30)
    assert [label.names for label in labels][:2] == [("royal gala", "gala"), ("fuji",)]
    assert [label.categories for label in labels] == [
        ("apple", "fruit"), ("apple", "fruit"), ("fruit",), ("vegetable",), (), (),
    ]  # fmt: skip
    assert labels[-1].name == "me@home"
    assert merge(labels, ["gala", "honey"])[0].categories == ("apple", "fruit")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pear @ apple @ vegetable", "line 9 .*'apple' is below 'vegetable' here, and below 'fruit' in line 2"),
        ("pear @ apple", "line 9 .*'apple' is below 'nothing' here"),
        ("pear @ fruit @", "line 9 .*the category after an @ is blank"),
        ("@ fruit", "line 9 .*there is no label before the @"),
        ("Fruit @ fruit", "line 9 .*'Fruit' is its own category"),
        ("pear @ pome @ POME", "line 9 .*a category stands twice"),
        ("gala @ vegetable", "line 9 .*'vegetable' was found; an earlier line says 'apple @ fruit'"),
        ("pear @ " + "x" * 31, "line 9 .*a category has at most 30 characters"),
    ],
)
def test_what_is_no_tree_is_refused_with_its_line(line, message):
    """The error has the line, the reason, and the line that it contradicts."""
    with pytest.raises(InvalidLabels, match=message):
        parse_labels(f"{TREE}\n{line}", longest=30)


def recognise(cosines: dict[str, float], threshold: float = 0.8) -> Recognition:
    """Return the answer to a picture with these cosines to the labels of TREE."""
    labels = tuple(parse_labels(TREE, longest=30))
    wanted = np.array([cosines.get(label.name, 0.0) for label in labels], np.float32)
    prototypes = np.stack([wanted, np.sqrt(1 - wanted**2)], axis=1)
    label_set = LabelSet(labels, prototypes, "1", levels=category_levels(labels))
    picture = np.float32([1, 0])
    return Recogniser(label_set, 20.0, None).recognise(picture, top_k=5, threshold=threshold)


def test_a_kind_that_is_not_sure_has_a_parent_that_is():
    """Two apples compete with each other, but not for their category."""
    answer = recognise({"royal gala": 0.91, "fuji": 0.9})
    assert (answer.item, answer.ranking.confident) == ("royal gala", False)
    assert answer.category == ("apple", pytest.approx(1, abs=1e-6))
    assert answer.confident_category == "apple"


def test_the_parent_may_be_unsure_and_its_own_parent_sure():
    """Apple against plum is open, fruit is not; leek against apple leaves nothing sure."""
    answer = recognise({"royal gala": 0.91, "plum": 0.9})
    assert answer.category == ("apple", pytest.approx(0.5498, abs=1e-3))
    assert answer.confident_category == "fruit"
    assert recognise({"royal gala": 0.91, "leek": 0.9}).confident_category is None


def test_a_label_without_categories_has_none():
    """It still competes with the others."""
    answer = recognise({"salt": 0.9})
    assert (answer.category, answer.confident_category, answer.ranking.confident) == (None, None, True)


def test_levels_are_the_slow_obvious_ones():
    """A category's logit is the maximum of its labels', and one softmax covers all categories of the level."""
    rng = np.random.default_rng(3)
    labels = parse_labels(TREE, longest=30)
    prototypes = unit(rng.normal(size=(len(labels), 8)).astype(np.float32))
    label_set = LabelSet(tuple(labels), prototypes, "1", levels=category_levels(labels))
    for picture in unit(rng.normal(size=(20, 8)).astype(np.float32)):
        answer = Recogniser(label_set, 5.0, None).recognise(picture, top_k=9, threshold=0.5)
        if answer.label.categories:
            depth = len(answer.label.categories)
            groups: dict[tuple[str, ...], float] = {}
            for label, row in zip(labels, prototypes, strict=True):
                path = label.categories[::-1][:depth] if len(label.categories) >= depth else (label.name,)
                groups[path] = max(groups.get(path, -np.inf), 5.0 * float(row @ picture))
            powers = {path: np.exp(logit) for path, logit in groups.items()}
            expected = powers[answer.label.categories[::-1]] / sum(powers.values())
            assert answer.category == (answer.label.categories[0], pytest.approx(expected, abs=1e-5))
