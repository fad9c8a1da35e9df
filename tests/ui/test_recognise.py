"""The page Recognise."""

import io

import pytest
from PIL import Image

from tests.fakes import as_bytes, picture
from tests.ui.conftest import button, named, said, sample, upload


def side_by_side(first: str, second: str) -> bytes:
    """A picture whose halves are two samples."""
    left, right = (Image.open(io.BytesIO(sample(name))) for name in (first, second))
    left.paste(right.crop((right.width // 2, 0, right.width, right.height)), (left.width // 2, 0))
    return as_bytes(left, "JPEG")


def test_nothing_is_asked_without_a_picture(larder, open_page):
    """An empty page says what to do."""
    page = open_page("recognise")
    assert "Choose a picture file to see what it shows" in said(page)
    assert not page.html


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (sample("banana"), "success", "Confident:** banana"),
        (side_by_side("lime", "lemon"), "warning", "Unsure:** perhaps"),
        (as_bytes(picture("magenta", (300, 300))), "info", "Unknown:** none of the"),
    ],
    ids=["confident", "unsure", "unknown"],
)
def test_three_verdicts_look_different(larder, open_page, data, kind, words):
    """Each has a box of its own kind, a word and a sign; none is told by colour alone."""
    page = upload(open_page("recognise"), data)
    assert words in said(page)
    [box] = [each for each in getattr(page, kind) if words in each.value]
    assert box.icon.startswith(":material/")


def test_the_five_best_have_probability_score_and_cosine(larder, open_page):
    """The numbers are the service's, and how to read them stands below."""
    page = upload(open_page("recognise"), sample("lemon"))
    found = larder.recognise(sample("lemon"))
    [table] = page.html
    for label, cosine in zip(found.top_k_items, found.top_k_cosines, strict=True):
        assert label in table.value
        assert f"{cosine:.3f}" in table.value
    assert f"{found.similarity_score:.1%}".replace("%", " %") in table.value
    assert any("a softmax over all" in each.value and "looks surer than it is" in each.value for each in page.caption)


def test_nothing_is_counted_before_a_button_is_pressed(larder, open_page):
    """The item is proposed, can be edited, and goes in and out of the pantry with its new count shown."""
    page = upload(open_page("recognise"), sample("banana"))
    assert named(page.text_input, "Item").value == "banana"
    assert "banana" not in [each.item for each in larder.items()]
    named(page.text_input, "Item").set_value("green banana")
    named(page.number_input, "How many").set_value(3)
    page = button(page, "Add to the pantry")
    assert "the pantry has 3 of green banana now" in said(page)
    assert larder.item("green banana").count == 3
    page = button(page, "Take out")
    assert "Took out 3: the pantry has 0 of green banana now" in said(page)
    named(page.text_input, "Item").set_value("never heard of")
    assert "The service declined" in said(button(page, "Take out"))


def test_samples_can_be_looked_at_without_a_camera(larder, open_page):
    """A drawn picture is chosen by its name."""
    page = open_page("recognise")
    page.segmented_control[0].set_value("Sample").run()
    named(page.selectbox, "A drawn picture").select("cucumber").run()
    assert "**Confident:** cucumber" in said(page)


def test_a_photo_from_the_camera_is_recognised(larder, open_page):
    """What the camera took goes the way of an upload."""
    page = open_page("recognise")
    page.segmented_control[0].set_value("Camera").run()
    assert "Take a photo" in said(page)
    page.camera_input[0].set_value(("photo.jpg", sample("lime"), "image/jpeg")).run()
    assert "lime" in said(page)


def test_a_broken_picture_is_a_sentence(larder, open_page):
    """What is wrong and what to do; no bars, no form."""
    page = upload(open_page("recognise"), sample("banana")[:5000])
    assert "This picture cannot be read: the picture is damaged or truncated" in said(page)
    assert not page.html
