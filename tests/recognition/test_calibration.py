"""Figures against values worked out by hand."""

import numpy as np
import pytest

from app.recognition import calibration, zero_shot


def test_a_perfectly_sure_and_right_model_has_no_calibration_error():
    """Certainty that is always right is calibrated; certainty that is always wrong is off by 1."""
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration.calibration_error(sure, np.array([0, 1])) == pytest.approx(0.0)
    assert calibration.calibration_error(sure, np.array([1, 0])) == pytest.approx(1.0)


def test_temperature_undoes_a_scale():
    """Logits drawn from a known distribution and multiplied by 3 need a temperature near 3."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 5))
    labels = np.array([rng.choice(5, p=row) for row in zero_shot.softmax(logits)])
    assert calibration.fit_temperature(3 * logits, labels) == pytest.approx(3, rel=0.15)


def test_margin_lies_between_separable_scores():
    """If a threshold can separate the two sets, it is the middle of the gap."""
    assert calibration.fit_margin(np.array([0.5, 0.6]), np.array([-0.5, 0.1])) == pytest.approx(0.3)


@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_error_agrees_with_slow_loops(seed):
    """Every bin is filled by hand; empty bins among them."""
    rng = np.random.default_rng(seed)
    probabilities = zero_shot.softmax(rng.normal(0, 2, (50, 4)))
    labels = rng.integers(4, size=50)
    error = 0.0
    for low in range(15):
        rows = [row for row in probabilities.max(axis=1).argsort() if low <= probabilities[row].max() * 15 < low + 1]
        right = [probabilities[row].argmax() == labels[row] for row in rows]
        error += abs(sum(right) - sum(probabilities[row].max() for row in rows)) / 50
    assert calibration.calibration_error(probabilities, labels) == pytest.approx(error)
