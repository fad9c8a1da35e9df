"""Figures against values worked out by hand."""

import numpy as np
import pytest

from app.recognition import calibration as scoring
from app.recognition import zero_shot


def test_auroc_counts_pairs():
    """Of six pairs four are in order and one is tied."""
    assert scoring.auroc(np.array([3.0, 1.0]), np.array([0.0, 1.0, 2.0])) == pytest.approx(4.5 / 6)


def test_a_perfectly_sure_and_right_model_has_no_calibration_error():
    """Certainty that is always right is calibrated; certainty that is always wrong is off by 1."""
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert scoring.calibration_error(sure, np.array([0, 1])) == pytest.approx(0.0)
    assert scoring.calibration_error(sure, np.array([1, 0])) == pytest.approx(1.0)


def test_temperature_undoes_a_scale():
    """Logits drawn from a known distribution and multiplied by 3 need a temperature near 3."""
    dice = np.random.default_rng(0)
    logits = dice.normal(0, 2, (4000, 5))
    labels = np.array([dice.choice(5, p=row) for row in zero_shot.softmax(logits)])
    assert scoring.fit_temperature(3 * logits, labels) == pytest.approx(3, rel=0.15)


def test_margin_lies_between_separable_scores():
    """Where a threshold can divide the two sets, the middle of the gap is taken."""
    assert scoring.fit_margin(np.array([0.5, 0.6]), np.array([-0.5, 0.1])) == pytest.approx(0.3)


@pytest.mark.parametrize("seed", range(3))
def test_auroc_and_calibration_error_agree_with_slow_loops(seed):
    """Every pair is compared, every bin is filled by hand; ties and empty bins among them."""
    dice = np.random.default_rng(seed)
    positive, negative = np.round(dice.normal(1, 1, 40), 1), np.round(dice.normal(0, 1, 30), 1)
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
    assert scoring.auroc(positive, negative) == pytest.approx(np.mean(wins))
    probabilities = zero_shot.softmax(dice.normal(0, 2, (50, 4)))
    labels = dice.integers(4, size=50)
    error = 0.0
    for low in range(15):
        rows = [row for row in probabilities.max(axis=1).argsort() if low <= probabilities[row].max() * 15 < low + 1]
        right = [probabilities[row].argmax() == labels[row] for row in rows]
        error += abs(sum(right) - sum(probabilities[row].max() for row in rows)) / 50
    assert scoring.calibration_error(probabilities, labels) == pytest.approx(error)
