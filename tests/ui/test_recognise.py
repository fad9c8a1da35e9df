"""The page Recognise."""

import io

import pytest
from PIL import Image

from tests.conftest import wait_until
from tests.fakes import as_bytes, picture
from tests.nectar import nectar
from tests.shelves import shelf
from tests.ui.conftest import SOURCE, button, named, said, sample, several, type_into


def halves(first: str, second: str) -> bytes:
    """A picture whose halves are two samples."""
    left, right = (Image.open(io.BytesIO(sample(name))) for name in (first, second))
    left.paste(right.crop((right.width // 2, 0, right.width, right.height)), (left.width // 2, 0))
    return as_bytes(left, "JPEG")


def search(page, *pictures: bytes):
    """Return the page after pictures of several things were selected."""
    named(page.segmented_control, "What it shows").set_value("A shelf").run()
    return several(page, *pictures)


def correct(page, item: str):
    """Return the page after an item was typed and sent as a correction."""
    type_into(page, "It is", item)
    return button(page, "Send the correction")


def read(page) -> str:
    """Return the small print."""
    return "\n".join(each.value for each in page.caption)


def test_nothing_is_asked_without_a_picture(larder, open_page):
    """An empty page says what to do."""
    page = open_page("recognise")
    assert "Choose a picture file to see what it shows" in said(page)
    assert not page.html


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (sample("banana"), "success", "Confident:** banana"),
        (halves("lime", "carrots"), "warning", "Unsure:** perhaps"),
        (as_bytes(picture("magenta", (300, 300))), "info", "Unknown:** none of the"),
    ],
    ids=["confident", "unsure", "unknown"],
)
def test_three_verdicts_look_different(larder, open_page, data, kind, words):
    """Each verdict has a box, a word and a symbol; only the first has the rate of right answers."""
    page = several(open_page("recognise"), data)
    assert words in said(page)
    [box] = [each for each in getattr(page, kind) if words in each.value]
    assert box.icon.startswith(":material/")
    assert ("the first is right in" in read(page)) == (kind == "success")


def test_the_five_best_have_probability_score_and_cosine(larder, open_page):
    """The numbers are the service's, with an explanation below."""
    page = several(open_page("recognise"), sample("lemon"))
    found = larder.recognise(sample("lemon"))
    [table] = page.html
    for label, cosine in zip(found.top_k_items, found.top_k_cosines, strict=True):
        assert label in table.value
        assert f"{cosine:.3f}" in table.value
    assert f"{found.similarity_score:.1%}".replace("%", " %") in table.value
    assert any("a softmax over all" in each.value and "looks surer than it is" in each.value for each in page.caption)


def test_nothing_is_counted_before_a_button_is_pressed(larder, open_page):
    """The item is proposed, can be edited, and goes in and out of the pantry with its new count shown."""
    page = several(open_page("recognise"), sample("banana"))
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


def test_what_was_counted_is_undone_beside_it(larder, open_page):
    """The button undoes the reported change once; if that is no longer possible the page says so."""
    larder.set_count("banana", 4)
    page = several(open_page("recognise"), sample("banana"))
    page = button(button(page, "Add to the pantry"), "Undo")
    assert "Undone: **banana** undone: 5 → 4." in said(page)
    assert larder.item("banana").count == 4
    assert not any(each.label == "Undo" for each in page.button)
    page = button(page, "Add to the pantry")
    larder.set_count("banana", 0)
    assert "The service declined" in said(button(page, "Undo"))
    larder.delete("banana")


def test_samples_can_be_looked_at_without_a_camera(larder, open_page):
    """A drawn picture is selected by its name."""
    page = open_page("recognise")
    named(page.segmented_control, SOURCE).set_value("Sample").run()
    named(page.selectbox, "A drawn picture").select("cucumber").run()
    assert "**Confident:** cucumber" in said(page)


def test_a_photo_from_the_camera_is_recognised(larder, open_page):
    """A picture from the camera is handled like an upload."""
    page = open_page("recognise")
    named(page.segmented_control, SOURCE).set_value("Camera").run()
    assert "Take a photo" in said(page)
    page.camera_input[0].set_value(("photo.jpg", sample("lime"), "image/jpeg")).run()
    assert "lime" in said(page)


def test_a_broken_picture_is_a_sentence(larder, open_page):
    """The page shows the error and what to do, without bars or a form."""
    page = several(open_page("recognise"), sample("banana")[:5000])
    assert "This picture cannot be read: the picture is damaged or truncated" in said(page)
    assert not page.html


def test_several_pictures_are_frames_of_one_thing(larder, open_page):
    """There is one answer with the agreement, and a mark on the excluded frame."""
    page = several(open_page("recognise"), *map(nectar, (1, 2, 5)), sample("lemon"))
    frames = larder.recognise_frames([*map(nectar, (1, 2, 5)), sample("lemon")]).frames
    assert frames.used == [True, True, True, False]
    assert f"Agreement: {round(4 * frames.agreement)} of 4" in read(page)
    assert "1 left out, too unlike the others" in read(page)
    assert len(page.image) == 4
    assert len(page.html) == 1


def test_one_bad_picture_among_several_is_named(larder, open_page):
    """The page names the file to remove."""
    page = several(open_page("recognise"), sample("banana"), b"nothing", sample("banana"))
    assert "2.jpg: the bytes are not a picture" in said(page)
    assert not page.html


def test_too_many_pictures_are_a_sentence(larder, open_page):
    """No request is sent."""
    page = several(open_page("recognise"), *[sample("banana")] * 17)
    assert "17 pictures were chosen: take some away, up to 16 go" in said(page)
    assert not page.html


def test_a_correction_is_noted(larder, open_page):
    """The text differs if the answer was right; nothing is taught unless requested."""
    page = several(open_page("recognise"), sample("banana"))
    assert "An item needs a name" in said(button(page, "Send the correction"))
    named(page.toggle, "Teach it at once, by what was shown").set_value(False)
    assert "Noted: **plantain**, not banana." in said(correct(page, "plantain"))
    assert "Noted: **banana**, as was answered." in said(correct(page, "banana"))
    assert "plantain" not in [each.item for each in larder.items()]


def test_a_correction_that_teaches_changes_the_answer(larder, open_page):
    """The picture is recognised again, and the new answer is above the correction."""
    page = correct(several(open_page("recognise"), nectar(1)), "Plum Nectar")
    assert "Noted: **plum nectar**" in said(page)
    assert "**Confident:** plum nectar" in said(page)
    assert len(larder.taught("plum nectar")) == 1
    larder.delete("plum nectar")


def test_a_shelf_is_listed_and_counted(larder, open_page):
    """Each thing has its boxes, and the counts can be corrected before all are added to the pantry."""
    page = search(open_page("recognise"), shelf("lime", "carrots", "red-bell-pepper"))
    assert "**Found:** 3 things" in said(page)
    table = page.table[0].value.set_index("Item")
    assert table.to_dict("index") == {
        "lime": {"Count": 1, "Boxes": "1", "Probability": table.loc["lime", "Probability"]},
        "carrots": {"Count": 1, "Boxes": "2", "Probability": table.loc["carrots", "Probability"]},
        "red bell pepper": {"Count": 1, "Boxes": "3", "Probability": table.loc["red bell pepper", "Probability"]},
    }
    named(page.number_input, "carrots").set_value(4)
    named(page.number_input, "red bell pepper").set_value(0)
    page = button(page, "Add all to the pantry")
    assert "Added: the pantry has 1 of lime, 4 of carrots now" in said(page)
    assert [larder.item(name).count for name in ("lime", "carrots")] == [1, 4]
    assert "red bell pepper" not in [each.item for each in larder.items()]
    named(page.number_input, "red bell pepper").set_value(1)
    page = button(page, "Take all out")
    assert "Took out: the pantry has 0 of lime, 0 of carrots, 0 of red bell pepper now" in said(page)


def test_a_shelf_of_nothing_known_is_said_so(larder, open_page):
    """The page says what to try, without a list or a form."""
    page = search(open_page("recognise"), as_bytes(picture("magenta", (300, 300))))
    assert "Nothing** is seen for sure" in said(page)
    assert "go nearer" in read(page)
    assert not page.table


def test_every_picture_of_several_is_a_shelf(larder, open_page):
    """A bad one among them is named, and the others are searched."""
    page = search(open_page("recognise"), shelf("lime", "carrots"), b"nothing", shelf("banana"))
    assert "2.jpg: the bytes are not a picture" in said(page)
    assert [sorted(each.value["Item"]) for each in page.table] == [["carrots", "lime"], ["banana"]]


def test_the_item_that_the_pantry_has_is_offered(larder, open_page):
    """The label is carrots, but the pantry's item carrot is counted, for one picture and for a shelf."""
    for item in larder.items():  # what other tests have left
        larder.delete(item.item)
    larder.set_count("carrot", 5)
    wait_until(lambda: larder.recognise(sample("carrots")).pantry_item == "carrot")
    page = several(open_page("recognise"), sample("carrots"))
    assert named(page.text_input, "Item").value == "carrot"
    button(page, "Add to the pantry")
    assert (larder.item("carrot").count, [each.item for each in larder.items()]) == (6, ["carrot"])
    found = larder.recognise_shelf(sample("carrots"))
    assert {each.stored_as for each in found if each.item == "carrots"} == {"carrot"}
    larder.delete("carrot")
