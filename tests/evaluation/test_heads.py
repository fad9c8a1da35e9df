"""Every head maps unit vectors to logits."""

import numpy as np
import pytest

from app.evaluation.heads import SHARPNESS, Vectors, linear_probe, nearest, neighbours, prototypes, text_heads
from app.model.encoder import unit
from app.recognition.labels import Label
from tests.fakes import ColourEncoder


def clouds(seed: int, each: int = 20, classes: int = 3, spread: float = 0.3) -> Vectors:
    """Unit vectors around as many directions as there are classes."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    vectors = np.eye(classes, 5)[labels] + rng.normal(0, spread, (len(labels), 5))
    return Vectors(unit(vectors.astype(np.float32)), labels)


def share_right(head, vectors: Vectors) -> float:
    return float((head.answer(vectors.vectors).argmax(axis=1) == vectors.labels).mean())


def test_text_heads_know_classes_by_name():
    """One prompt has the label alone; the templates' head has synonyms too."""
    classes = [Label("red"), Label("nothing", ("green",))]
    one, many = text_heads(classes, ["{}", "a {} thing"], ColourEncoder(), scale=10.0)
    green = unit(np.float32([[-1, 1, -1, 0.1]]))
    assert many.answer(green).argmax() == 1
    assert many.answer(green)[0, 1] > one.answer(green)[0, 1]
    assert one.answer(unit(np.float32([[1, -1, -1, 0.1]])))[0, 0] == pytest.approx(10, abs=1e-3)
    assert one.bytes == many.bytes == 2 * 4 * 4


@pytest.mark.parametrize("k", [1, 3, 10])
def test_votes_are_those_of_the_nearest(k):
    """They equal a loop over pictures that sorts all training pictures."""
    train, test = clouds(0, spread=0.6), clouds(1, spread=0.6)
    for vector, row in zip(test.vectors, np.exp(neighbours(train, k, 3)(test.vectors)), strict=True):
        cosines = [float(vector @ other) for other in train.vectors]
        best = sorted(range(len(cosines)), key=lambda place: -cosines[place])[:k]
        weights = [np.exp(cosines[place] / SHARPNESS) for place in best]
        shares = [sum(w for w, p in zip(weights, best, strict=True) if train.labels[p] == c) for c in range(3)]
        np.testing.assert_allclose(row, np.array(shares) / sum(weights), atol=1e-3)


def test_heads_learn_what_can_be_learnt():
    """All three heads separate clouds that hardly touch."""
    train, val, test = clouds(0), clouds(1), clouds(2)
    heads = [linear_probe(train, val), nearest(train, val, 3), prototypes(train, 5, 3, 20.0, seed=0)]
    for head in heads:
        assert share_right(head, test) > 0.9, head.name
    assert [head.bytes for head in heads] == [4 * 3 * 6, 4 * 60 * 5, 4 * 3 * 5]


def test_prototypes_are_means_of_so_many_pictures():
    """With as many shots as pictures it is the class mean; another seed draws other pictures."""
    train = clouds(0, each=4)
    whole = prototypes(train, 100, 3, 1.0, seed=0)
    means = unit(np.stack([train.vectors[train.labels == number].mean(axis=0) for number in range(3)]))
    np.testing.assert_allclose(whole.answer(train.vectors), train.vectors @ means.T, atol=1e-6)
    one, other = (prototypes(train, 1, 3, 1.0, seed).answer(train.vectors) for seed in (0, 1))
    assert not np.allclose(one, other)
    assert sorted((one > 1 - 1e-6).sum(axis=0)) == [1, 1, 1]
