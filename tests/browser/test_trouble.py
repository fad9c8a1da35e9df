"""Errors on the pages, and recovery from them."""

import pytest
from larder_client import Larder
from playwright.sync_api import expect

from harness.server import ROOT
from tests.browser.site import settled, shows
from tests.fakes import as_bytes
from tests.fakes import picture as square
from tests.nectar import nectar


def test_a_service_that_is_away_is_said_so_until_it_is_back(site, open_page, picture):
    """While it is stopped a sentence has the address; after its start the answer appears by itself."""
    page = open_page()
    page.get_by_role("radio", name="Sample").click()
    shows(page, "Confident: ")
    site.stop()
    page.get_by_role("combobox", name="A drawn picture").fill("carrots")
    page.keyboard.press("Enter")
    shows(page, "cannot be reached: ")
    shows(page, "goes on by itself")
    picture(page, "away")
    site.start()
    shows(page, "Confident: carrots")
    expect(page.get_by_text("cannot be reached")).to_have_count(0)


def test_a_file_that_is_no_picture_is_a_sentence(open_page):
    """The page shows the service's error and what to do."""
    page = open_page()
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    page.locator("input[type=file]").set_input_files(file)
    shows(page, "This picture cannot be read")
    shows(page, "Try another file")


def test_a_file_that_is_too_large_is_a_sentence(open_page, tmp_path):
    """The page rejects it before the upload, with the limit."""
    (tmp_path / "large.jpg").write_bytes((ROOT / "samples/banana.jpg").read_bytes() + b"\0" * 51 * 1024 * 1024)
    page = open_page()
    page.locator("input[type=file]").set_input_files(tmp_path / "large.jpg")
    shows(page, "must be 50.0MB or smaller")


def test_a_picture_too_large_for_the_service_is_a_sentence(open_page, tmp_path):
    """One that the client has no reason to shrink, and is more than the service takes, is declined in words."""
    (tmp_path / "heavy.png").write_bytes(as_bytes(square("red")) + b"\0" * 10 * 1024 * 1024)
    page = open_page()
    page.locator("input[type=file]").set_input_files(tmp_path / "heavy.png")
    shows(page, "This picture is too large")


def test_what_is_to_be_taught_stays_chosen(site, open_page):
    """Item and pictures stay selected after an outage of the service and after a bad picture was removed."""
    page = open_page("teach")
    page.get_by_role("combobox", name="Item").click()
    page.keyboard.type("plum nectar")
    page.keyboard.press("Enter")
    good = {"name": "good.jpg", "mimeType": "image/jpeg", "buffer": nectar(1)}
    page.locator("input[type=file]").set_input_files([good, good | {"name": "bad.jpg", "buffer": b"no"}])
    expect(page.get_by_role("button", name="Remove bad.jpg")).to_be_visible()
    site.stop()
    page.get_by_role("button", name="Teach").click()
    shows(page, "cannot be reached: ")
    site.start()
    shows(page, "plum nectar has none yet")
    page.get_by_role("button", name="Teach").click()
    shows(page, "This picture cannot be read: bad.jpg")
    page.get_by_role("button", name="Remove bad.jpg").click()
    page.get_by_role("button", name="Teach").click()
    shows(page, "plum nectar was taught by 1 picture")
    expect(page.get_by_role("button", name="Remove good.jpg")).to_have_count(0)
    with Larder(f"{site.url}/api") as larder:
        larder.delete("plum nectar")


@pytest.mark.parametrize(
    ("kind", "number", "button", "answer"),
    [
        ("One thing", "How many", "Add to the pantry", "Added 7: the pantry has 7 of banana now"),
        ("A shelf", "banana", "Add all to the pantry", "Added: the pantry has 7 of banana"),
    ],
)
def test_a_count_that_was_typed_stays(site, open_page, kind, number, button, answer):
    """An outage when the button is pressed is reported below the form, and pressing it again afterwards counts."""
    page = open_page(height=1200)
    page.get_by_role("radio", name=kind).click()
    page.locator("input[type=file]").set_input_files(ROOT / "samples/banana.jpg")
    shows(page, "banana")
    page.get_by_label(number, exact=True).fill("7")
    settled(page)
    site.stop()
    page.get_by_role("button", name=button).click()
    shows(page, "cannot be reached: ")
    expect(page.get_by_label(number, exact=True)).to_have_value("7")
    site.start()
    expect(page.get_by_text("cannot be reached")).to_have_count(0)
    settled(page)
    expect(page.get_by_label(number, exact=True)).to_have_value("7")
    page.get_by_role("button", name=button).click()
    shows(page, answer)
