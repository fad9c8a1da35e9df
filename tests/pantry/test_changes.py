"""The arithmetic of counts, and names and files that survive a round trip."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, NotFound
from app.pantry import MAX_COUNT, Item, item_name
from app.pantry.changes import Change, check_room_for_item
from app.pantry.transfer import read_lines
from app.text import csv_cell, from_csv_cell

COUNTS = st.integers(0, 5) | st.integers(0, MAX_COUNT)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text("aß '=+-@＝\t/;\"", max_size=8)


@given(COUNTS, COUNTS)
def test_what_is_removed_was_there(before, quantity):
    """At most the count is removed, and the removed and the remaining number sum to it."""
    after = Change("remove", "rice", quantity).applied(before)
    assert after.count >= 0
    assert after.count + after.removed == before
    assert after.removed == min(before, quantity)


@given(st.none() | COUNTS, COUNTS)
def test_adding_stops_at_the_greatest_count(before, quantity):
    """Below the maximum nothing is lost, and a missing item starts from 0."""
    after = Change("add", "rice", quantity).applied(before)
    assert after == Item("rice", min((before or 0) + quantity, MAX_COUNT))
    assert Change("put", "rice", quantity).applied(before) == Item("rice", quantity)


def test_nothing_is_left_of_what_is_deleted():
    """Its count becomes 0; a missing item can be neither deleted nor taken from."""
    assert Change("delete", "rice").applied(7) == Item("rice", 0)
    for operation in ("delete", "remove"):
        with pytest.raises(NotFound, match="no item 'rice'"):
            Change(operation, "rice", 1).applied(None)


def test_a_full_pantry_takes_no_new_item():
    """One item below the limit is still accepted."""
    check_room_for_item("rice", have=1, most=2)
    with pytest.raises(InvalidRequest, match="2 items, the most that it takes: delete some before adding 'rice'"):
        check_room_for_item("rice", have=2, most=2)


@given(NAMES)
def test_an_item_keeps_the_name_that_was_answered(text):
    """A name that is allowed is its own spelling, without a slash, of 1 to 200 characters."""
    try:
        name = item_name(text)
    except InvalidRequest:
        return
    assert item_name(name) == name
    assert 1 <= len(name) <= 200
    assert "/" not in name


@given(NAMES)
def test_a_csv_cell_comes_back(text):
    """Any name survives the file, and no cell begins like a formula."""
    cell = csv_cell(text)
    assert from_csv_cell(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "＝", "\t"))


JSON_LINES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.fixed_dictionaries({"item": JSON_LINES | st.sampled_from(["rice", "Oats"]), "count": JSON_LINES | COUNTS})


@given(lines=st.lists((JSON_LINES | RECORDS).map(json.dumps) | st.text('{}[]": 1e\\', max_size=12), max_size=6))
def test_each_line_of_json_is_an_item_or_a_problem(tmp_path_factory, lines):
    """No line is dropped silently, and no line raises an error."""
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    told = {line.number: line for line in read_lines(path, "jsonl")}
    assert set(told) == {number for number, line in enumerate(lines, start=1) if line.strip()}
    for line in told.values():
        assert line.problem or (line.item == item_name(line.item) and 0 <= line.count <= MAX_COUNT)
