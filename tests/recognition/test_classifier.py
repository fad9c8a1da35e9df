"""Classification among a request's labels: fast code against slow reference code, and invariants."""

import math

import numpy as np
import pytest

from app.model.encoder import unit
from app.recognition.background import Background
from app.recognition.classifier import Classifier

SCALE = 12.0


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32))


PICTURE, BACKGROUND = vectors(1, 9)[0], vectors(5, 8)


def classifier(label_cosine=0.3, known_margin=0.1) -> Classifier:
    return Classifier(Background(BACKGROUND), SCALE, label_cosine, known_margin)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


@pytest.mark.parametrize("count", [1, 2, 7, 320])
def test_exclusive_probabilities_are_a_softmax(count):
    """They equal shares computed one by one; none_of_these takes its share first."""
    prompts = vectors(count)
    cosines = [sum(float(a) * float(b) for a, b in zip(PICTURE, row, strict=True)) for row in prompts]
    powers = [math.exp(SCALE * cosine) for cosine in cosines]
    expected = [power / sum(powers) for power in powers]
    answer = classifier().classify(PICTURE, prompts)
    assert answer.probabilities == pytest.approx(expected, abs=1e-5)
    assert answer.cosines == pytest.approx(cosines, abs=1e-6)
    assert (answer.categories, answer.none_of_these) == (None, None)
    none = 1 - sigmoid(SCALE * (max(cosines) - 0.3))
    answer = classifier().classify(PICTURE, prompts, none_of_these=True)
    assert answer.none_of_these == pytest.approx(none, abs=1e-5)
    assert answer.probabilities == pytest.approx([(1 - none) * each for each in expected], abs=1e-5)


@pytest.mark.parametrize("fitted", [True, False])
def test_a_label_s_own_probability_weighs_it_against_the_reference(fitted):
    """The reference is the fitted cosine, or else the best background prompt's plus the margin of `known`."""
    prompts = vectors(7)
    reference = 0.3 if fitted else max(float(row @ PICTURE) for row in BACKGROUND) + 0.1
    answer = classifier(0.3 if fitted else None).classify(PICTURE, prompts, independent=True, none_of_these=True)
    expected = [sigmoid(SCALE * (float(row @ PICTURE) - reference)) for row in prompts]
    assert answer.probabilities == pytest.approx(expected, abs=1e-5)
    assert answer.none_of_these == pytest.approx(1 - max(expected), abs=1e-5)


def test_without_any_calibration_the_background_alone_is_the_reference():
    """Without fitted values, each label's share is computed against the distant background."""
    prompts, share = vectors(70), 0.4
    answer = Classifier(Background(BACKGROUND, nearest=share), SCALE, None, None).classify(
        PICTURE, prompts, independent=True, none_of_these=True
    )
    expected = []
    for label in prompts:
        far = sorted(BACKGROUND, key=lambda other: float(other @ label))[:3]  # of five, without the two nearest
        powers = [math.exp(SCALE * float(each @ PICTURE)) for each in (label, *far)]
        expected.append(powers[0] / sum(powers))
    assert answer.probabilities == pytest.approx(expected, abs=1e-5)
    assert answer.none_of_these == pytest.approx(1 - max(expected), abs=1e-5)


def test_independent_labels_do_not_know_of_each_other():
    """Labels in one call have the same probabilities as in separate calls."""
    prompts = vectors(7)
    together = classifier().classify(PICTURE, prompts, independent=True).probabilities
    alone = [classifier().classify(PICTURE, prompts[[n]], independent=True).probabilities[0] for n in range(7)]
    assert together == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize("none_of_these", [True, False])
def test_a_phrase_said_five_times_moves_no_category(independent, none_of_these):
    """A category is its best label: repeating any of its vectors changes no category's score."""
    prompts, categories = vectors(7), ["a", "b", "a", "c", "b", "c", "c"]
    options = {"independent": independent, "none_of_these": none_of_these}
    before = classifier().classify(PICTURE, prompts, categories, **options)
    for place in range(7):
        more = np.concatenate([prompts, np.repeat(prompts[[place]], 4, axis=0)])
        after = classifier().classify(PICTURE, more, categories + [categories[place]] * 4, **options)
        assert after.categories == pytest.approx(before.categories, abs=1e-6)
        assert after.none_of_these == pytest.approx(before.none_of_these, abs=1e-6)


def test_categories_are_the_softmax_of_their_best_labels():
    """They are in the order of first occurrence; with one label each they equal the labels' probabilities."""
    prompts = vectors(4)
    cosines = prompts @ PICTURE
    answer = classifier().classify(PICTURE, prompts, ["x", "y", "x", "y"])
    best = {"x": max(cosines[0], cosines[2]), "y": max(cosines[1], cosines[3])}
    powers = {name: math.exp(SCALE * cosine) for name, cosine in best.items()}
    assert list(answer.categories) == ["x", "y"]
    assert answer.categories == pytest.approx(
        {n: power / sum(powers.values()) for n, power in powers.items()}, abs=1e-5
    )
    each = classifier().classify(PICTURE, prompts, ["a", "b", "c", "d"])
    assert list(each.categories.values()) == each.probabilities


def test_one_choice_alone_is_never_confident():
    """A single exclusive label or category is not confident; against none of these, or independent, it can be."""
    own = PICTURE[None]
    assert classifier().classify(PICTURE, own).probabilities == [1.0]
    assert not classifier().classify(PICTURE, own).confident
    assert not classifier().classify(PICTURE, np.repeat(own, 2, axis=0), ["a", "a"]).confident
    assert classifier().classify(PICTURE, own, none_of_these=True).confident
    assert classifier().classify(PICTURE, own, independent=True).confident
    assert not classifier().classify(PICTURE, -own, independent=True).confident


def test_confident_means_strictly_above_the_threshold():
    """The best category's probability is compared, or the best label's without categories."""
    prompts = vectors(4)
    for categories in (None, ["x", "y", "x", "y"]):
        answer = classifier().classify(PICTURE, prompts, categories)
        best = max(answer.categories.values() if categories else answer.probabilities)
        assert not classifier().classify(PICTURE, prompts, categories, threshold=best).confident
        assert classifier().classify(PICTURE, prompts, categories, threshold=np.nextafter(best, 0)).confident


def test_exclusive_numbers_and_none_of_these_sum_to_one():
    """Labels, or categories, share what none_of_these leaves."""
    answer = classifier().classify(PICTURE, vectors(6), ["a", "b", "b", "c", "c", "c"], none_of_these=True)
    assert sum(answer.probabilities) + answer.none_of_these == pytest.approx(1)
    assert sum(answer.categories.values()) + answer.none_of_these == pytest.approx(1)
