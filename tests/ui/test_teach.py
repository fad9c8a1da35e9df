"""The page Teach."""

import pytest

from app.ui.sentences import when
from tests.conftest import wait_until
from tests.nectar import nectar
from tests.ui.conftest import SOURCE, button, files, named, said, sample, type_into, whole


@pytest.fixture
def nectar_page(larder, open_page):
    """Open the page for a pantry item, which is deleted afterwards."""
    larder.set_count("plum nectar", 0)
    wait_until(lambda: "plum nectar" in [each.label for each in larder.labels()])
    yield lambda: whole(named(open_page("teach").selectbox, "Item").select("plum nectar").run())
    larder.delete("plum nectar")


def teach(page, *pictures: bytes):
    """Return the page after pictures were selected and taught."""
    named(page.file_uploader, "Picture files, up to 32").set_value(files(pictures))
    return button(page, "Teach")


def captions(page) -> list[str]:
    """Return the captions below the pictures."""
    return [each.value for each in page.caption[1:]]


def forget(page, *which: str):
    """Return the page after some examples were selected and deleted."""
    named(page.multiselect, "Examples to forget").set_value(list(which))
    return button(page, "Forget")


def test_without_an_item_the_page_says_what_to_do(larder, open_page):
    """The page offers every label, without a form."""
    page = open_page("teach")
    assert "Choose an item, or type the name of a new one" in said(page)
    assert "banana" in named(page.selectbox, "Item").options
    assert not page.button


def test_a_new_item_has_no_examples(nectar_page):
    """The page says how to begin; a button without pictures, or with too many, is a sentence."""
    page = nectar_page()
    assert "plum nectar has none yet" in said(page)
    assert "Choose or take a picture first" in said(button(page, "Teach"))
    assert "33 pictures were chosen" in said(teach(page, *[sample("banana")] * 33))


def test_pictures_teach_a_new_item(larder, nectar_page):
    """They are shown with their examples' ids, the list has them, and another picture of the item is recognised."""
    page = teach(nectar_page(), *map(nectar, (1, 2, 7)))
    assert "**plum nectar** was taught by 3 pictures" in said(page)
    examples = larder.taught("plum nectar")
    assert [each.id[:8] for each in examples] == page.table[0].value["Example"].tolist()
    assert len(page.image) == len(examples) == 3
    assert all(each.id[:8] in caption for each, caption in zip(examples, captions(page), strict=True))
    assert set(page.table[0].value["Taught"]) == {when(each.taught_at) for each in examples}


def test_what_speaks_against_a_picture_stands_below_it(larder, nectar_page):
    """A picture of another label and a duplicate have a warning in plain words; both are stored."""
    first = larder.teach("plum nectar", [nectar(1), nectar(2)])[0]
    page = teach(nectar_page(), nectar(1, quality=88), sample("banana"))
    near, other = captions(page)
    assert f"nearly the same as {first.id[:8]}" in near
    assert "looks like banana" in other
    assert "Forget those that are wrong" in said(page)
    assert len(larder.taught("plum nectar")) == 4


def test_examples_are_forgotten(larder, nectar_page):
    """Some or all are deleted, and the list is updated."""
    examples = larder.teach("plum nectar", [nectar(seed) for seed in (1, 2, 3, 7)])
    page = forget(nectar_page(), examples[1].id, examples[3].id)
    assert "2 examples were forgotten" in said(page)
    assert page.table[0].value["Example"].tolist() == [examples[0].id[:8], examples[2].id[:8]]
    page = forget(page, examples[0].id, examples[2].id)
    assert "plum nectar has none yet" in said(page)
    assert larder.taught("plum nectar") == []
    assert "forgotten" not in said(whole(page.run()))


def test_the_camera_teaches_too(larder, nectar_page):
    """Photos are taught one after the other."""
    page = nectar_page()
    named(page.segmented_control, SOURCE).set_value("Camera").run()
    page.camera_input[0].set_value(("photo.jpg", nectar(1), "image/jpeg"))
    assert "was taught by 1 picture." in said(button(page, "Teach"))
    assert len(larder.taught("plum nectar")) == 1


def test_a_bad_picture_is_named_and_nothing_is_taught(larder, nectar_page):
    """The others can be taught once it is removed; the existing examples stay visible."""
    larder.teach("plum nectar", [nectar(1)])
    page = teach(nectar_page(), nectar(2), b"nothing")
    assert "2.jpg: the bytes are not a picture" in said(page)
    assert len(page.table[0].value) == len(larder.taught("plum nectar")) == 1


def test_a_name_that_cannot_be_is_a_sentence(larder, open_page):
    """The page shows it before any request."""
    page = open_page("teach")
    type_into(page, "Item", "salt/pepper")
    page.run()
    assert "An item needs a name, without a slash" in said(page)
    assert not page.button
