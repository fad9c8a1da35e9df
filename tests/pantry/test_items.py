"""Firestore documents as items, including odd documents."""

import pytest
from google.cloud.firestore_v1 import types

from app.errors import InvalidRequest
from app.pantry import MAX_COUNT
from app.pantry.firestore.items import check_id, read


def entry(document_id="rice", **fields):
    update_time = {"seconds": 5, "nanos": 7}
    return read(document_id, types.Document.pb(types.Document(fields=fields, update_time=update_time)))


def test_a_document_is_an_item():
    """The id is the item and the integer `count` its count; other fields are ignored."""
    found = entry(count={"integer_value": 3}, shelf={"string_value": "top"})
    assert (found.item, found.count, found.version, found.warning) == ("rice", 3, (5, 7), None)


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ({"double_value": 3.0}, 3),
        ({"double_value": 2.9}, 2),
        ({"double_value": -0.5}, 0),
        ({"double_value": float("nan")}, 0),
        ({"double_value": float("inf")}, MAX_COUNT),
        ({"double_value": float("-inf")}, 0),
        ({"integer_value": -5}, 0),
        ({"integer_value": 2**62}, MAX_COUNT),
        ({"string_value": "3"}, 0),
        ({"boolean_value": True}, 0),
        ({"null_value": None}, 0),
        ({"array_value": {"values": [{"integer_value": 3}]}}, 0),
        ({"map_value": {"fields": {}}}, 0),
    ],
)
def test_an_odd_count_is_read_as_well_as_can_be(value, count):
    """A fraction counts as its whole part, negative numbers and other types as 0; a warning says so."""
    found = entry(count=value)
    assert (found.item, found.count) == ("rice", count)
    assert "`count`" in found.warning
    assert "counts" in found.warning


def test_no_count_is_0():
    """A document without the field is an item with count 0 and a warning."""
    assert (entry().count, entry().warning) == (0, "it has no field `count`, so it counts 0")


@pytest.mark.parametrize("document_id", [" ", "x" * 201, "a\0b", "tab\there\x07"])
def test_an_id_that_is_no_name_is_left_out(document_id):
    """Blank, huge and unprintable ids are not items."""
    assert entry(document_id, count={"integer_value": 3}).item is None
    assert "not a valid item name" in entry(document_id).warning


@pytest.mark.parametrize("document_id", ["Rice", " rice", "RICE "])
def test_an_id_in_another_spelling_is_the_item(document_id):
    """Capitals and stray spaces are accepted, and reported as odd."""
    found = entry(document_id, count={"integer_value": 3})
    assert (found.item, found.count) == ("rice", 3)
    assert "counts as 'rice'" in found.warning


@pytest.mark.parametrize("item", [".", "..", "__x__", "____"])
def test_names_that_firestore_keeps_are_refused(item):
    """The error says why, before Firestore is asked."""
    with pytest.raises(InvalidRequest, match="keeps names like"):
        check_id(item)


@pytest.mark.parametrize("item", ["...", "__x", "x__", "a.b", "_"])
def test_names_like_them_are_not(item):
    """Only names that Firestore itself rejects are rejected."""
    check_id(item)
