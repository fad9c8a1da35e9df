"""A pantry as a file, written and read by the page."""

from larder_client import Item

from app.pantry import item_name
from app.pantry.transfer import read_lines
from app.ui.screens.pantry import read_items, write_items
from tests.pantry.test_transfer import NAMES


def test_no_name_is_a_formula_and_every_name_comes_back(tmp_path):
    """The page's CSV has the form of `pantry export`: either reads what the other writes."""
    items = [Item(name, count) for count, name in enumerate(sorted(NAMES))]
    text = write_items(items)
    assert read_items(text.encode(), json_lines=False) == (items, [])
    file = tmp_path / "pantry.csv"
    file.write_text(text)
    cleaned = [(item_name(each.item), each.count) for each in items]
    assert [(line.item, line.count) for line in read_lines(file, "csv")] == cleaned
