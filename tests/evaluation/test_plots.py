"""The plots show the figures."""

import numpy as np

from app.evaluation.compare import Comparison, Shots
from app.evaluation.confidence import Confidence, Known
from app.evaluation.figures import Figures
from app.evaluation.heads import CNN, NEAREST, ONE, PROBE, SERVED
from app.evaluation.plots import by_class, by_shots, confusion, reliability


def figures(name: str, top_1: float, per_class: tuple[float | None, ...] = (1.0, 0.0)) -> Figures:
    return Figures(name, "made", top_1, 0.9, 0.0, 0.05, 0.04, 1.0, 2.0, 10.0, list(per_class), [], [])


def comparison() -> Comparison:
    """All contestants on two classes."""
    shares = {ONE: 0.5, SERVED: 0.6, PROBE: 0.7, NEAREST: 0.55, CNN: 0.5}
    contestants = [figures(*each) for each in shares.items()]
    confidence = Confidence(100, 2, 0.6, 1.0, 0.05, 1.0, 0.1, 0.99, [Known("noise", 30, 0.98, 0.02)])
    shots = [Shots(1, 0.4, 0.3, 0.5), Shots(5, 0.65, 0.6, 0.7), Shots(16, 0.68, 0.6, 0.7)]
    return Comparison("T", "c", "m", "e", 8, 9, 50, 100, ["fig", "pea"], contestants, [], shots, None, confidence)


def test_classes_are_lines_the_best_on_top():
    """A class that the test does not show has no line."""
    found = comparison()
    found.classes.append("rye")
    found.contestants[:] = [figures(each.name, each.top_1, (0.2, 0.9, None)) for each in found.contestants]
    [axes] = by_class(found).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fig", "pea"]
    [served] = [line for line in axes.lines if line.get_label() == SERVED]
    assert list(served.get_xdata()) == [0.2, 0.9]


def test_a_small_confusion_table_has_its_numbers():
    """Counts are written, shares are coloured; a row without pictures stays empty."""
    axes, _ = confusion(comparison(), np.array([[3, 1], [0, 0]])).axes
    assert [text.get_text() for text in axes.texts] == ["3", "1", "0", "0"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]


def test_every_contestant_has_its_line():
    """Every contestant is in the reliability diagram and, with prototypes, in the plot of few pictures."""
    found = comparison()
    [axes] = reliability(found).axes
    assert len(axes.lines) == 1 + len(found.contestants)
    [axes] = by_shots(found).axes
    assert list(axes.lines[0].get_ydata()) == [0.4, 0.65, 0.68]
    assert {line.get_ydata()[0] for line in axes.lines[1:]} == {each.top_1 for each in found.contestants}
