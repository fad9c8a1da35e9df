"""Ranking: fast code against slow reference code, and the confidence rule."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.encoder import unit
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import (
    Ranking,
    Recogniser,
    Recognition,
    best_indices,
    is_known,
    is_known_by_words,
    log_sum_exp,
    rank,
    softmax,
)


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32))


@pytest.mark.parametrize("count", [1, 2, 5, 6, 320])
@pytest.mark.parametrize("top_k", [1, 2, 5, 1000])
def test_the_numbers_are_those_of_the_definition(count, top_k):
    """Cosines, the softmax over all labels and the renormalised best k equal values computed one by one."""
    picture, prototypes = vectors(1, 9)[0], vectors(count)
    cosines = [sum(float(a) * float(b) for a, b in zip(picture, row, strict=True)) for row in prototypes]
    powers = [math.exp(20 * cosine) for cosine in cosines]
    probabilities = [power / sum(powers) for power in powers]
    best = sorted(range(count), key=lambda index: -cosines[index])[:top_k]
    ranking = rank(picture, prototypes, logit_scale=20, top_k=top_k, threshold=0.8)
    assert ranking.indices == best
    assert ranking.cosines == pytest.approx([cosines[index] for index in best], abs=1e-6)
    assert ranking.probabilities == pytest.approx([probabilities[index] for index in best], abs=1e-5)
    mass = sum(probabilities[index] for index in best)
    assert ranking.scores == pytest.approx([probabilities[index] / mass for index in best], abs=1e-5)
    assert sum(ranking.scores) == pytest.approx(1)
    assert ranking.best_named == pytest.approx(cosines[best[0]], abs=1e-6)
    assert ranking.evidence == pytest.approx(math.log(sum(powers)), abs=1e-4)


def test_a_temperature_divides_the_logits_of_the_calibrated_probability_alone():
    """It is the best label's softmax at a quarter of the scale; the other numbers do not change."""
    picture, prototypes = vectors(1, 9)[0], vectors(8)
    plain = rank(picture, prototypes, logit_scale=20, top_k=5, threshold=0.8)
    calibrated = rank(picture, prototypes, logit_scale=20, top_k=5, threshold=0.8, temperature=4.0)
    powers = [math.exp(5 * float(cosine)) for cosine in prototypes @ picture]
    assert calibrated.calibrated_probability == pytest.approx(max(powers) / sum(powers), abs=1e-5)
    assert (plain.calibrated_probability, plain.probabilities) == (None, calibrated.probabilities)


def test_confident_means_strictly_above_the_threshold():
    """A first score equal to the threshold is not confident; a threshold just below it is."""
    picture, prototypes = vectors(1, 9)[0], vectors(8)
    first = rank(picture, prototypes, logit_scale=20, top_k=5, threshold=0).scores[0]
    assert not rank(picture, prototypes, logit_scale=20, top_k=5, threshold=first).confident
    assert rank(picture, prototypes, logit_scale=20, top_k=5, threshold=np.nextafter(first, 0)).confident


def test_one_label_is_never_confident():
    """The score of a single label is 1, but it is not confident."""
    ranking = rank(vectors(1)[0], vectors(1), logit_scale=100, top_k=5, threshold=0.5)
    assert ranking.scores == [1.0]
    assert not ranking.confident


def test_asking_for_one_answer_does_not_make_it_confident():
    """With top_k 1 the runner-up still counts: two equal labels are not confident."""
    ranking = rank(vectors(1)[0], np.repeat(vectors(1), 2, axis=0), logit_scale=100, top_k=1, threshold=0.5)
    assert ranking.scores == [1.0]
    assert not ranking.confident


def test_renormalising_makes_14_percent_look_like_80():
    """With 99 tied labels and one ahead, the score is 0.8 and the probability 0.14."""
    lead = math.log(16) / 100
    prototypes = np.zeros((100, 2), np.float32)
    prototypes[:, 0] = 0.2
    prototypes[42, 0] = 0.2 + lead
    ranking = rank(np.float32([1, 0]), prototypes, logit_scale=100, top_k=5, threshold=0.8)
    assert ranking.indices[0] == 42
    assert ranking.scores[0] == pytest.approx(0.8, abs=1e-4)
    assert ranking.probabilities[0] == pytest.approx(16 / 115, abs=1e-4)


def test_equal_labels_stay_in_their_order():
    """Ties are broken by the order of the labels, in every process."""
    ranking = rank(np.float32([1, 0]), np.float32([[1, 0]] * 7), logit_scale=100, top_k=7, threshold=0.5)
    assert ranking.indices == list(range(7))


def test_a_huge_scale_stays_finite():
    """The softmax subtracts the greatest logit first."""
    probabilities = softmax(np.float32([[1e6, 0], [-1e6, -1e6]]))
    assert probabilities.tolist() == [[1, 0], [0.5, 0.5]]


def test_known_is_a_margin_over_the_background():
    """A picture is known when its best label beats every background prompt by more than the margin."""
    picture, background = np.float32([1, 0]), np.float32([[0.5, 0.5], [0.1, 0.9]])
    assert is_known(picture, 0.75, background, margin=0.2)
    assert not is_known(picture, 0.75, background, margin=0.25)


@given(st.lists(st.sampled_from([-0.5, 0.0, 0.25, 0.25000003, 1.0]), min_size=1, max_size=40), st.integers(1, 45))
def test_the_partial_sort_is_the_first_part_of_a_stable_one(values, k):
    """This holds for any number of ties, and for any k among them."""
    cosines = np.float32(values)
    assert best_indices(cosines, k).tolist() == np.argsort(-cosines, kind="stable")[:k].tolist()


def test_the_logarithm_of_a_sum_is_numpys():
    """This holds along the last axis, for one row and several, and for terms that would overflow."""
    rows = np.float32([[1, 2, 3], [1000, 999, -1000], [-5, -5, -5]])
    assert log_sum_exp(rows) == pytest.approx(np.logaddexp.reduce(rows.astype(np.float64), axis=1))
    assert [float(log_sum_exp(row)) for row in rows] == pytest.approx(log_sum_exp(rows).tolist())


def test_without_a_margin_the_labels_must_outweigh_the_background():
    """A picture is known if the labels have more than half of a softmax over them and the background."""
    picture, prototypes, background = vectors(1, 9)[0], vectors(8), vectors(5, 3)
    powers, others = (np.exp(20 * (rows @ picture).astype(np.float64)).sum() for rows in (prototypes, background))
    evidence = rank(picture, prototypes, logit_scale=20, top_k=1, threshold=0.8).evidence
    assert is_known_by_words(picture, evidence, background, 20) == (powers > others)
    assert is_known_by_words(picture, math.log(others) + 1e-3, background, 20)
    assert not is_known_by_words(picture, math.log(others) - 1e-3, background, 20)
    assert is_known_by_words(picture, evidence, background[:0], 20)


@pytest.mark.parametrize("confident", [True, False])
@pytest.mark.parametrize("known", [True, False, None])
@pytest.mark.parametrize("unknown_counts", [True, False])
def test_sure_is_confident_and_not_unknown(confident, known, unknown_counts):
    """An unknown picture may be acted on only if that is allowed, and the reason against it is given."""
    ranking = Ranking([1, 0], [0.5, 0.4], [0.6, 0.4], [0.6, 0.4], confident, best_named=0.5, evidence=1.0)
    answer = Recognition([Label("rice"), Label("tea")], ranking, known, 2, unknown_counts)
    assert answer.item == "rice"
    assert answer.sure == (confident and (unknown_counts or known is not False))
    expected = "" if answer.sure else "not confident: 0.60 for 'rice'" if not confident else "none of the labels"
    assert expected in answer.unsure
    assert bool(answer.unsure) is not answer.sure


def test_each_rule_of_known_is_the_recognisers():
    """With a calibrated margin the best label must lead by it; without one the labels must outweigh the rivals."""
    picture, prototypes, rivals = vectors(1, 9)[0], vectors(8), vectors(5, 3)
    labels = LabelSet(tuple(Label(str(number)) for number in range(8)), prototypes, "1", rivals=rivals)

    def known(margin, rivals=rivals):
        recogniser = Recogniser(replace(labels, rivals=rivals), 20.0, margin)
        return recogniser.recognise(picture, top_k=1, threshold=0.8).known

    lead = float((prototypes @ picture).max() - (rivals @ picture).max())
    assert (known(lead - 1e-3), known(lead + 1e-3)) == (True, False)
    evidence = rank(picture, prototypes, logit_scale=20, top_k=1, threshold=0.8).evidence
    assert known(None) == is_known_by_words(picture, evidence, rivals, 20)
    assert known(0.1, rivals=None) is None
