"""The figures of a contestant, against slow loops."""

import numpy as np
import pytest

from app.evaluation.figures import Answers, measure, most_confused, recall, reliability
from app.recognition.calibration import accuracy
from app.recognition.zero_shot import softmax

CLASSES = list("abcd")


def some(seed: int, pictures: int = 60):
    """Random logits (N, 4) of which about half are right, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=pictures)
    return (rng.normal(0, 1, (pictures, 4)) + 1.5 * np.eye(4)[labels]).astype(np.float32), labels


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_counts_labels_among_the_best_k(k):
    """It equals sorting one picture at a time."""
    logits, labels = some(0)
    hits = [label in sorted(range(4), key=lambda c: -row[c])[:k] for row, label in zip(logits, labels, strict=True)]
    assert accuracy(logits, labels, k) == pytest.approx(sum(hits) / len(hits))
    assert accuracy(logits, labels, 4) == 1


def test_recall_is_a_classs_share_that_is_right():
    """It is the diagonal divided by the row's sum; a class without pictures has none, which is not 0."""
    assert recall(np.array([[1, 1, 0], [0, 0, 0], [1, 0, 3]])) == [0.5, None, 0.75]


def test_the_most_confused_pairs_come_first():
    """Right answers are not confusions, and pairs that never occur are left out."""
    table = np.array([[9, 2, 0], [5, 1, 0], [0, 0, 4]])
    found = [(each.shown, each.answered, each.count, each.of) for each in most_confused(table, CLASSES)]
    assert found == [("b", "a", 5, 6), ("a", "b", 2, 11)]


def test_reliability_bins_answers_by_their_probability():
    """Each answer lies in one bin; the bins' gaps, weighed, are the calibration error with as many bins."""
    logits, labels = some(2, 300)
    probabilities = softmax(logits)
    bins = reliability(probabilities, labels)
    assert sum(each.share for each in bins) == pytest.approx(1)
    for each in bins:
        low = np.floor(each.sure * 10) / 10
        rows = [row for row in range(300) if low <= probabilities[row].max() < low + 0.1]
        assert each.share == pytest.approx(len(rows) / 300)
        assert each.right == pytest.approx(np.mean([probabilities[row].argmax() == labels[row] for row in rows]))


def test_the_temperature_is_taken_from_val_alone():
    """Logits that are three times too large are overconfident, and the temperature of val corrects them."""
    (val, val_labels), (test, labels) = some(3, 3000), some(4, 3000)
    found = measure(Answers("x", "made", 3 * val, 3 * test, 1.0, 2.0), val_labels, labels, CLASSES)
    alone = measure(Answers("x", "made", val, test, 1.0, 2.0), val_labels, labels, CLASSES)
    assert found.temperature == pytest.approx(3 * alone.temperature, rel=0.05)
    assert found.overconfidence > 0.05
    assert found.calibrated_error < 0.05 < found.calibration_error
    assert found.top_1 == alone.top_1 == pytest.approx((test.argmax(axis=1) == labels).mean())
