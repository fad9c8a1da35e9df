"""Each sentence is there where its numbers make it true, and not where they do not."""

from dataclasses import replace

import pytest

from app.evaluation.compare import Comparison, Pair, Shots
from app.evaluation.confidence import Confidence, Known
from app.evaluation.discussion import discuss
from app.evaluation.figures import Confused, Figures
from app.evaluation.wording import CNN, NEAREST, ONE, PROBE, SERVED


def figures(name: str, top_1: float, per_class: tuple[float | None, ...] = (1.0, 0.0), **changes: object) -> Figures:
    made = Figures(name, "made", top_1, 0.9, 0.0, 0.05, 0.04, 1.0, 2.0, 10.0, list(per_class), [], [])
    return replace(made, **changes)


def comparison(error: float = 0.01, surplus: float = 0.0, **shares: float) -> Comparison:
    """Contestants with these shares of right answers, and this standard error between any two."""
    names = {"one": ONE, "served": SERVED, "probe": PROBE, "nearest": NEAREST, "cnn": CNN}
    shares = {"one": 0.5, "served": 0.6, "probe": 0.7, "nearest": 0.55} | shares
    contestants = [figures(names[key], share, surplus=surplus) for key, share in shares.items()]
    pairs = [
        Pair(a.name, b.name, a.top_1 - b.top_1, error)
        for place, a in enumerate(contestants)
        for b in contestants[place + 1 :]
    ]
    confidence = Confidence(100, 2, 0.6, 1.0, 0.05, 1.0, 0.1, 0.99, [Known("noise", 30, 0.98, 0.02)])
    shots = [Shots(1, 0.4, 0.3, 0.5), Shots(5, 0.65, 0.6, 0.7), Shots(16, 0.68, 0.6, 0.7)]
    return Comparison("T", "c", "m", "e", 8, 9, 50, 100, ["fig", "pea"], contestants, pairs, shots, None, confidence)


def said(found: Comparison) -> str:
    return "\n".join(discuss(found))


def test_the_best_is_named_and_its_lead_is_judged():
    """A lead of more than twice its error is clear, a smaller one is not."""
    assert "**The linear probe is right most often**, on 70.0 % of 100" in said(comparison())
    assert "Zero-shot (templates) follows with 60.0 %: 10.0 points, a clear difference." in said(comparison())
    assert "10.0 points, too little to tell them apart" in said(comparison(error=0.06))
    assert "**K-nearest is right most often**" in said(comparison(nearest=0.8))


@pytest.mark.parametrize(
    ("served", "one", "sentence"),
    [
        (0.6, 0.5, "Zero-shot (templates) does better than zero-shot (one prompt), 60.0 % against 50.0 %"),
        (0.5, 0.6, "Zero-shot (one prompt) does better than zero-shot (templates), 60.0 % against 50.0 %"),
        (0.6, 0.6, "Zero-shot (templates) and zero-shot (one prompt) are right equally often (60.0 %)"),
    ],
)
def test_prompts_are_compared_in_both_directions(served, one, sentence):
    """Whoever is ahead is named first."""
    assert f"**Prompts.** {sentence}" in said(comparison(served=served, one=one))


def test_only_a_clear_difference_between_names_and_pictures_is_explained():
    """Either way, or not at all."""
    more, better = "The vectors hold more than the names", "The names are the better teacher"
    assert more in said(comparison(probe=0.8))
    assert better in said(comparison(probe=0.3))
    unclear = said(comparison(probe=0.61))
    assert more not in unclear
    assert better not in unclear


def test_the_cnn_is_spoken_of_only_where_there_is_one():
    """Ahead or behind, and class by class."""
    assert "CNN" not in said(comparison())
    assert "Zero-shot (templates) does better than the CNN, 60.0 % against 20.0 %" in said(comparison(cnn=0.2))
    assert "The CNN does better than zero-shot (templates), 90.0 % against 60.0 %" in said(comparison(cnn=0.9))
    found = comparison(cnn=0.5)
    assert "better than the CNN on 0 classes, worse on 0, the same on 2." in said(found)
    assert "Its greatest lead" not in said(found)
    found.contestants[-1] = figures(CNN, 0.5, (0.25, 0.5))
    text = said(found)
    assert "better than the CNN on 1 classes, worse on 1, the same on 0." in text
    assert "Its greatest lead is on fig (75.0 points)." in text
    assert "It is furthest behind on pea (50.0 points)." in text


def test_few_pictures_overtake_the_names_or_do_not():
    """From where on is said only if it holds for every larger number too."""
    assert "From 5 on they do better than the names (60.0 %)." in said(comparison())
    assert "From 1 on they do better than the names (10.0 %)." in said(comparison(served=0.1))
    assert "With 16 they do no better than the names (70.0 %)." in said(comparison(served=0.7))
    falling = replace(comparison(), shots=[Shots(1, 0.7, 0.7, 0.7), Shots(2, 0.5, 0.5, 0.5), Shots(5, 0.8, 0.8, 0.8)])
    assert "From 5 on" in said(falling)


def test_classes_are_counted_and_the_weakest_named():
    """A class that the test does not show is not counted; a perfect contestant has no weakest class."""
    found = comparison()
    assert "Of 2 classes 1 are always recognised by name, 1 never. The weakest are pea (0.0 %)." in said(found)
    found.contestants[1] = figures(SERVED, 0.6, (1.0, None), confused=[Confused("fig", "pea", 3, 9)])
    assert "Of 1 classes 1 are always recognised by name, 0 never. Most often fig is taken for pea: 3 of 9" in said(
        found
    )


@pytest.mark.parametrize(("surplus", "said_of_it"), [(0.1, "too sure"), (-0.1, "too modest"), (0.01, None)])
def test_probabilities_are_too_sure_too_modest_or_neither(surplus, said_of_it):
    """Small differences are not spoken of."""
    text = said(comparison(surplus=surplus))
    for kind in ("too sure", "too modest"):
        assert (f"As they are, {kind} by 10.0 points" in text) == (kind == said_of_it)


def test_a_temperature_that_made_it_worse_is_told():
    """By name; where it made nothing worse nothing is said."""
    found = comparison()
    assert "made it worse" not in said(found)
    found.contestants[0] = figures(ONE, 0.5, calibrated_error=0.2, calibration_error=0.1)
    assert f"For {ONE} that temperature made it worse on the test pictures." in said(found)


def test_known_is_judged_by_the_hardest_kind():
    """Without a calibration there are no shares."""
    found = comparison()
    assert "from noise with an area under the ROC curve of 0.9800." in said(found)
    assert "At the bundle's margin 99.0 % of the test pictures are known, and 2.0 % of those others." in said(found)
    kinds = [Known("noise", 30, 0.98, None), Known("dogs", 30, 0.7, None)]
    bare = replace(found.confidence, known_margin=None, rightly_known=None, known=kinds)
    text = said(replace(found, confidence=bare))
    assert "from dogs with an area under the ROC curve of 0.7000, the hardest of the kinds tried." in text
    assert "At the bundle's margin" not in text
    assert "Other things" not in said(replace(found, confidence=replace(bare, known=[])))
