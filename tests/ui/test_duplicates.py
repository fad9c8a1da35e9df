"""The page Duplicates."""

import io

import pytest
from PIL import Image

from tests.ui.conftest import button, named, said, sample


def smaller(data: bytes) -> bytes:
    """The same picture at two thirds of its size."""
    picture, file = Image.open(io.BytesIO(data)), io.BytesIO()
    picture.resize((picture.width * 2 // 3, picture.height * 2 // 3)).save(file, "JPEG", quality=80)
    return file.getvalue()


@pytest.fixture
def copies(larder):
    """A lemon in two sizes and a lime; the collection is deleted afterwards."""
    for name, data in (("large", sample("lemon")), ("small", smaller(sample("lemon"))), ("lime", sample("lime"))):
        larder.put_picture(f"copies/{name}", data, metadata={"file": f"{name}.jpg"}, collection="copies", shrink=False)
    yield larder
    larder.delete_collection("copies")


def look(page, collection: str = "copies"):
    """Return the page when the search has ended."""
    named(page.text_input, "In the collection").set_value(collection)
    return button(page, "Look for duplicates")


def test_a_copy_is_deleted_and_the_best_is_kept(copies, open_page):
    """The page says why the larger picture is kept; the marked one is deleted, and no duplicates remain."""
    page = look(open_page("duplicates"))
    verdict = " ".join(each.value for each in page.markdown)
    assert "Keep **large.jpg**: most pixels" in verdict
    assert [(box.label, box.value) for box in page.checkbox] == [
        ("Delete large.jpg", False),
        ("Delete small.jpg", True),
    ]
    assert len(page.image) == 2
    page = button(page, "Delete the marked ones")
    assert "Deleted 1 entry" in said(page)
    assert "No duplicates are left" in said(page)
    assert [each.id for each in copies.contents("copies")] == ["copies/large", "copies/lime"]


def test_a_group_may_be_kept(copies, open_page):
    """Nothing is deleted, and the group is not shown again."""
    page = button(look(open_page("duplicates")), "Keep all of them")
    assert "No duplicates are left" in said(page)
    assert copies.count_contents("copies") == 3


def test_without_duplicates_that_is_said(copies, open_page):
    """Before the first search the page says nothing."""
    page = open_page("duplicates")
    assert "No duplicates" not in said(page)
    assert "No duplicates are left" in said(look(page, "no such collection"))
