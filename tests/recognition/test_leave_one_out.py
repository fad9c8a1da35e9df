"""The leave-one-out report: fast code against teaching all but one example again."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from app.model.encoder import unit
from app.pantry.examples import Example
from app.recognition.few_shot import ImageAlignment, fit_few_shot
from app.recognition.labels import Label
from app.recognition.leave_one_out import report
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import Recogniser

SIZE, SCALE = 8, 20.0
RNG = np.random.default_rng(5)
MAPS = [RNG.normal(size=(SIZE + 1, 6)).astype(np.float32) for _ in range(2)]
ALIGNMENTS = {
    "as they are": None,
    "density": ImageAlignment(*MAPS, margins=(0.1,), scale=0.7),
    "means": ImageAlignment(None, None, margins=(0.3, 0.2, 0.1), means=True),
}


def labels_with(examples, alignment, count: int = 6) -> LabelSet:
    """Labels called 0, 1, 2 and so on, taught by examples of these items."""
    names = tuple(Label(str(number)) for number in range(count))
    prototypes = unit(np.random.default_rng(1).normal(size=(count, SIZE)).astype(np.float32))
    few_shot = fit_few_shot([(int(each.item), each.vector) for each in examples], prototypes, alignment)
    return LabelSet(names, prototypes, "1", few_shot, {label.name: place for place, label in enumerate(names)})


def taught(*items: int, spread: float = 0.6, seed: int = 2) -> list[Example]:
    """Return an example of each of these items: a direction of the item plus noise."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(3).normal(size=(10, SIZE))
    shown = (centres[list(items)] + 2 * spread * rng.normal(size=(len(items), SIZE))).astype(np.float32)
    return [
        Example(f"{item}-{place}", str(item), "seen", vector, 0.0)
        for place, (item, vector) in enumerate(zip(items, unit(shown), strict=True))
    ]


ITEMS = (4, 1, 1, 3, 1, 3, 4, 1, 5, 4, 4, 1)


def answer(each, examples, whole) -> str:
    """Return the label of an example by leave-one-out, from an index built again."""
    rest = [(int(other.item), other.vector) for other in examples if other is not each]
    few_shot = fit_few_shot(rest, whole.prototypes, whole.few_shot.alignment)
    if whole.few_shot.alignment is None:  # the scale is that in force
        few_shot = replace(few_shot, scale=whole.few_shot.scale, texts=whole.few_shot.texts)
    labels = replace(whole, few_shot=few_shot)
    return Recogniser(labels, SCALE, None).recognise(each.vector, top_k=1, threshold=0.8).item


@pytest.mark.parametrize("kind", ALIGNMENTS)
def test_each_example_is_judged_as_if_it_had_not_been_taught(kind):
    """A recogniser taught without the example gives the same answer for it, for each in turn."""
    examples = taught(*ITEMS)
    whole = labels_with(examples, ALIGNMENTS[kind])
    right, confused = Counter(), Counter()
    for each in examples:
        found = answer(each, examples, whole)
        right[each.item] += found == each.item
        if found != each.item and ITEMS.count(int(each.item)) > 1:
            confused[each.item, found] += 1
    found = report(examples, whole, SCALE)
    assert {each.item: each.right for each in found.items if each.examples > 1} == {
        item: right[item] for item in ("1", "3", "4")
    }
    assert [(each.item, each.examples) for each in found.items] == [("1", 5), ("3", 2), ("4", 4), ("5", 1)]
    assert next(each for each in found.items if each.item == "5").right is None
    assert found.confusions == dict(confused)
    assert confused


def mistaken() -> list[Example]:
    """Two items of four examples, well apart; a fifth example of the second shows the first."""
    examples = taught(1, 1, 1, 1, 2, 2, 2, 2, spread=0.1)
    wrong = Example("wrong", "2", "seen", unit((examples[0].vector + examples[1].vector)[None])[0], 0.0)
    return [*examples, wrong]


@pytest.mark.parametrize("kind", ALIGNMENTS)
def test_an_example_of_another_item_is_found(kind):
    """It is named first, with the item that it shows."""
    examples = mistaken()
    whole = labels_with(examples, ALIGNMENTS[kind])
    first, *_ = report(examples, whole, SCALE).misleading
    assert (first.id, first.item, first.looks_like) == ("wrong", "2", answer(examples[-1], examples, whole))
    assert first.probability < 0.5


@pytest.mark.parametrize("kind", ALIGNMENTS)
@pytest.mark.parametrize("seed", range(4))
def test_what_a_removal_improves_is_what_it_improves(kind, seed):
    """It is the difference in the number of others recognised, leave-one-out, with and without the example."""
    examples = taught(*ITEMS, *ITEMS, spread=0.7, seed=seed)
    whole = labels_with(examples, ALIGNMENTS[kind])
    misleading = report(examples, whole, SCALE).misleading
    assert misleading
    for each in misleading[:4]:
        rest = [example for example in examples if example.id != each.id]
        before, after = (sum(answer(other, some, whole) == other.item for other in rest) for some in (examples, rest))
        assert each.improves == after - before


def test_items_that_look_alike_are_named_once():
    """The nearest pair is first, by the means of the examples, or by the name of an untaught item."""
    centre, near, far = np.eye(SIZE, dtype=np.float32)[:3]
    shown = [centre, unit((centre + 0.3 * near)[None])[0], far]
    examples = [Example(str(place), str(place), "seen", vector, 0.0) for place, vector in enumerate(shown)]
    labels = labels_with(examples, ALIGNMENTS["means"])
    prototypes = labels.prototypes.copy()
    prototypes[5] = unit((far + 0.2 * near)[None])[0]
    few_shot = fit_few_shot([(int(each.item), each.vector) for each in examples], prototypes, ALIGNMENTS["means"])
    found = report(examples, LabelSet(labels.labels, prototypes, "1", few_shot, labels.indices), SCALE).look_alike
    assert [(each.item, each.other) for each in found] == [("2", "5"), ("0", "1")]
    assert [each.similarity for each in found] == pytest.approx([1 / 1.04**0.5, 1 / 1.09**0.5], abs=1e-5)


def test_nothing_taught_is_an_empty_report():
    """Examples of items that are not labels yet also give an empty report."""
    labels = labels_with([], None)
    assert report([], labels, SCALE).items == report(taught(1), labels, SCALE).items == []
    whole = labels_with(taught(1, 2), None)
    assert [each.item for each in report([*taught(1, 2), *taught(9)], whole, SCALE).items] == ["1", "2"]


def test_an_only_example_is_named_where_it_draws_others():
    """Without another example of its item, it is judged by its effect on other items."""
    first = taught(1, 1, 1, spread=0.1)
    odd = Example("odd", "2", "seen", unit(np.sum([each.vector for each in first], axis=0)[None])[0], 0.0)
    whole = labels_with([*first, odd], ALIGNMENTS["means"])
    found = {each.id: each for each in report([*first, odd], whole, SCALE).misleading}
    drawn = [each for each in first if answer(each, [*first, odd], whole) == "2"]
    assert len(drawn) == found["odd"].improves > 0
    assert found.keys() == {"odd", *(each.id for each in drawn)}
