"""The page Pantry."""

import pytest
from larder_client import Item

from app.ui.screens.pantry import read_items, write_items
from tests.ui.conftest import button, named, said


def put_in(page, item: str, quantity: int):
    named(page.text_input, "Item").set_value(item)
    named(page.number_input, "How many").set_value(quantity)
    return button(page, "Add")


def bring_in(page, name: str, text: str):
    label = next(each.label for each in page.file_uploader)
    named(page.file_uploader, label).set_value((name, text.encode(), "text/csv"))
    return button(page, "Import")


def test_items_are_added_taken_out_and_deleted(larder, open_page):
    """Each change is shown with its count, and the list is updated."""
    page = put_in(open_page("pantry"), "tea", 3)
    assert "the pantry has 3 of tea now" in said(page)
    listed = page.table[0].value
    assert listed[listed["Item"] == "tea"]["Count"].tolist() == [3]
    page = button(page, "Undo")
    assert "Undone: **tea** undone: 3 → 0." in said(page)
    page = put_in(page, "tea", 3)
    named(page.selectbox, "Item of the pantry").select("tea")
    named(page.number_input, "How many of it").set_value(5)
    page = button(page, "Take out")
    assert "Took out 3: the pantry has 0 of tea now" in said(page)
    assert "tea is no longer in the pantry" in said(button(page, "Delete"))
    assert "tea" not in [each.item for each in larder.items()]


@pytest.mark.parametrize("item", ["", "salt/pepper"])
def test_a_name_that_cannot_be_is_a_sentence(larder, open_page, item):
    """No request is sent, and the page says what a name needs."""
    assert "An item needs a name, without a slash" in said(put_in(open_page("pantry"), item, 1))


def test_a_file_is_imported_line_by_line(larder, open_page):
    """Counts are set; lines that cannot be used are listed with reasons."""
    page = bring_in(
        open_page("pantry"), "pantry.csv", "item,count\nrice,4\nflour,some\nsalt/pepper,1\neggs,9999999999999\n"
    )
    assert larder.item("rice") == Item("rice", 4)
    assert "1 item was imported" in said(page)
    assert "Line 3: a count is a whole number" in said(page)
    assert "Line 4: an item needs a name, without a slash" in said(page)
    assert "eggs: count: Input should be less" in said(page)
    page = bring_in(page, "pantry.jsonl", '{"item": "rice", "count": 7}\n[]\n')
    assert larder.item("rice").count == 7
    assert "Line 2: an item needs a name" in said(page)
    assert "a heading that names item and count" in said(bring_in(page, "pantry.csv", "a,b\n1,2\n"))


def test_what_was_exported_can_be_imported(larder, open_page):
    """The file has all items, with any names."""
    larder.set_count('oil, "extra"', 2)
    larder.set_count("*starred*", 1)
    page = open_page("pantry")
    assert "\\*starred\\*" in page.table[0].value["Item"].tolist()
    assert [each.label for each in page.download_button] == ["Export as CSV"]
    assert read_items(write_items(larder.items()).encode(), json_lines=False) == (larder.items(), [])
