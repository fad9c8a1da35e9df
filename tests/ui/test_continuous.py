"""The page Continuous."""

import pytest
from larder_client import Larder, NotFound

from tests.fakes import as_bytes, picture
from tests.ui.conftest import files, named, sample, type_into, whole

SOURCE = "Where pictures come from"
UNKNOWN = as_bytes(picture("magenta", (300, 300)))


@pytest.fixture
def page(larder, open_page):
    """The page with its uploader; in the end the pantry is empty."""
    page = open_page("continuous")
    named(page.segmented_control, SOURCE).set_value("Upload").run()
    yield page
    for each in larder.items():
        larder.delete(each.item)


def upload(page, *pictures: bytes):
    """Return the page after files were selected."""
    return whole(named(page.file_uploader, "Picture files").set_value(files(pictures)).run())


def press(page, key: str):
    """Return the page after a button of a row was pressed."""
    return whole(page.button(key=key).click().run())


def texts(page) -> str:
    return "\n".join(each.value.replace("\\", "") for each in [*page.header, *page.markdown])


def test_sure_answers_and_others_stand_apart(page):
    """The newest is first; unknown pictures are set aside, and invalid files show the reason."""
    upload(page, sample("banana"), UNKNOWN, b"no picture")
    assert [each.value for each in page.header] == ["Answers (1)", "Set aside (2)"]
    assert "**banana**, " in texts(page)
    assert "**Unknown**, nearest is " in texts(page)
    assert "3.jpg: This picture cannot be read" in texts(page)
    upload(page, sample("lime"))
    assert [each.value for each in page.header] == ["Answers (2)", "Set aside (2)"]
    assert page.markdown[0].value.startswith(":material/check: **lime**")


def test_one_click_adds_and_one_undoes(page, larder: Larder):
    """The item appears with its count; the undo deletes it again, because it was new."""
    upload(page, sample("banana"))
    press(page, "add 1 0")
    assert "**banana** added: 1 now." in texts(page)
    assert larder.item("banana").count == 1
    press(page, "undo 1")
    with pytest.raises(NotFound):
        larder.item("banana")
    assert "**banana**, " in texts(page)


def test_one_click_corrects(page, larder: Larder):
    """The second label is counted and taught by the picture; undoing reverts both."""
    upload(page, sample("banana"))
    press(page, "add 1 1")
    (added,) = larder.items()
    assert added.item != "banana"
    assert added.count == 1
    assert len(larder.taught(added.item)) == 1
    assert f"**{added.item}** added: 1 now. It was taught by this picture." in texts(page)
    press(page, "undo 1")
    assert larder.items() == []


def test_an_unknown_picture_teaches_a_new_item(page, larder: Larder):
    """Its name is typed; the row moves to the answers."""
    upload(page, UNKNOWN)
    page.session_state["other 1"] = True  # AppTest cannot open a popover
    whole(page.run())
    type_into(page, "It is", "beetroot juice")
    press(page, "teach 1")
    assert larder.item("beetroot juice").count == 1
    assert len(larder.taught("beetroot juice")) == 1
    assert [each.value for each in page.header] == ["Answers (1)"]


def test_the_camera_goes_on(page, larder):
    """A photo adds a row, and the camera is ready for the next one."""
    named(page.segmented_control, SOURCE).set_value("Camera").run()
    for count, name in enumerate(("lime", "carrots"), start=1):
        whole(page.camera_input[0].set_value(("photo.jpg", sample(name), "image/jpeg")).run())
        assert page.header[0].value == f"Answers ({count})"
        assert page.camera_input[0].value is None


def test_an_undo_that_is_refused_is_said(page, larder: Larder):
    """An item that was removed meanwhile cannot be removed again; the row is unchanged."""
    upload(page, sample("banana"))
    press(page, "add 1 0")
    larder.remove("banana")
    press(page, "undo 1")
    assert "The service declined" in page.error[0].value
    assert "**banana** added" in texts(page)


def test_the_list_is_cleared(page, larder):
    """The rows are removed, the counts stay."""
    upload(page, sample("banana"))
    press(page, "add 1 0")
    whole(named(page.button, "Clear the list").click().run())
    assert not page.header
    assert larder.item("banana").count == 1
