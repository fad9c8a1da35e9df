"""The figures of a contestant, against slow obvious loops."""

import numpy as np
import pytest

from app.evaluation.figures import Answers, confusion, measure, most_confused, recognised, reliability, top
from app.recognition.zero_shot import softmax

CLASSES = list("abcd")


def some(seed: int, pictures: int = 60):
    """Random logits (N, 4) of which about half are right, and the labels."""
    dice = np.random.default_rng(seed)
    labels = dice.integers(4, size=pictures)
    return (dice.normal(0, 1, (pictures, 4)) + 1.5 * np.eye(4)[labels]).astype(np.float32), labels


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_counts_labels_among_the_best_k(k):
    """Sorted one picture at a time."""
    logits, labels = some(0)
    hits = [label in sorted(range(4), key=lambda c: -row[c])[:k] for row, label in zip(logits, labels, strict=True)]
    assert top(logits, labels, k) == pytest.approx(sum(hits) / len(hits))
    assert top(logits, labels, 4) == 1


def test_the_confusion_table_counts_pairs():
    """Row: shown, column: answered."""
    dice = np.random.default_rng(1)
    labels, answered = dice.integers(4, size=(2, 80))
    slow = [[sum((labels == a) & (answered == b)) for b in range(4)] for a in range(4)]
    assert confusion(answered, labels, 4).tolist() == slow
    assert recognised(confusion(answered, labels, 4))[2] == pytest.approx(np.mean(answered[labels == 2] == 2))


def test_a_class_without_pictures_has_no_share():
    """It is not 0: nothing was asked."""
    assert recognised(confusion(np.array([0, 1]), np.array([0, 0]), 3)) == [0.5, None, None]


def test_the_most_confused_pairs_come_first():
    """Right answers are no confusion, and pairs that never happen are left out."""
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
    """Logits that are three times too large are too sure as they are, and the temperature of val mends them."""
    (val, val_labels), (test, labels) = some(3, 3000), some(4, 3000)
    found = measure(Answers("x", "made", 3 * val, 3 * test, 1.0, 2.0), val_labels, labels, CLASSES)
    alone = measure(Answers("x", "made", val, test, 1.0, 2.0), val_labels, labels, CLASSES)
    assert found.temperature == pytest.approx(3 * alone.temperature, rel=0.05)
    assert found.surplus > 0.05
    assert found.calibrated_error < 0.05 < found.calibration_error
    assert found.top_1 == alone.top_1 == pytest.approx((test.argmax(axis=1) == labels).mean())
