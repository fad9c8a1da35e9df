"""Conditions on metadata; test_machine.py compares the stores with them."""

import pytest

from app.contents.metadata import Condition, kind


@pytest.mark.parametrize(
    ("operator", "value", "held", "refused"),
    [
        ("eq", 1, [1, 1.0], [2, True, "1", None, [1]]),
        ("eq", True, [True], [1, False, "True"]),
        ("eq", "a", ["a"], ["b", "", 1]),
        ("gt", 1, [2, 1.5], [1, 0, True, "2"]),
        ("gte", 1, [1, 2], [0.5, True]),
        ("lt", "b", ["a", ""], ["b", "c", 0]),
        ("lte", "b", ["b", "a"], ["c", 1]),
        ("in", (1, "a", False), [1, 1.0, "a", False], [0, True, "b", None]),
    ],
)
def test_a_condition_compares_values_of_its_own_kind(operator, value, held, refused):
    """Numbers are compared with numbers, strings with strings, true is not 1; a missing field never matches."""
    condition = Condition("key", operator, value)
    assert [condition.holds({"key": each}) for each in held] == [True] * len(held)
    assert [condition.holds({"key": each}) for each in refused] == [False] * len(refused)
    assert not condition.holds({})
    assert not condition.holds({"another": held[0]})


def test_kinds_are_numbers_texts_booleans_and_the_rest():
    """Only values of one kind are compared."""
    assert [kind(value) for value in (1, 0.5, True, "", None, [])] == [
        "number",
        "number",
        "boolean",
        "text",
        "other",
        "other",
    ]
