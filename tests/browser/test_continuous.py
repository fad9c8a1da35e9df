"""The page Continuous as a user operates it: camera, keyboard, a phone."""

import pytest
from playwright.sync_api import expect

from harness.server import ROOT
from tests.browser.site import shows
from tests.browser.test_access import WIDER, faults, in_the_end, tab_to
from tests.fakes import as_bytes, picture

SAMPLES = ROOT / "samples"


@pytest.fixture
def filled(open_page, tmp_path):
    """The page with three sure answers and one that is set aside, at some width."""
    (tmp_path / "odd.png").write_bytes(as_bytes(picture("magenta", (300, 300))))

    def filled(width: int):
        page = open_page("continuous", width=width, height=1100)
        page.get_by_role("radio", name="Upload").click()
        names = [SAMPLES / f"{name}.jpg" for name in ("banana", "lime", "carrots")]
        page.locator("input[type=file]").set_input_files([*names, tmp_path / "odd.png"])
        expect(page.get_by_role("heading", name="Answers (3)")).to_be_visible()
        expect(page.get_by_role("heading", name="Set aside (1)")).to_be_visible()
        return page

    return filled


def test_rows_are_added_and_undone(filled, picture):
    """One click each; the page is complete for screen readers before and after."""
    page = filled(1200)
    assert faults(page) == []
    page.get_by_role("button", name="Add banana").click()
    shows(page, "banana added: 1 now.")
    picture(page, "continuous")
    assert faults(page) == []
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Add banana")).to_be_visible()


def test_what_is_set_aside_leads_to_the_review_queue(filled):
    """A link below it leads to the queue."""
    page = filled(1200)
    page.get_by_role("link", name="Label them later").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review")


def test_a_phone_shows_the_rows(filled, picture):
    """The rows fit 360 pixels, and axe reports nothing."""
    page = filled(360)
    page.get_by_role("button", name="Add banana").click()
    shows(page, "banana added: 1 now.")
    assert in_the_end(lambda: page.evaluate(WIDER)) == []
    picture(page, "continuous-phone")
    assert faults(page) == []


def test_the_keyboard_alone(open_page):
    """Tab leads to the buttons of a row; Alt+A and Alt+Z add the newest and undo it."""
    page = open_page("continuous")
    page.get_by_role("radio", name="Upload").click()
    page.locator("input[type=file]").set_input_files(SAMPLES / "banana.jpg")
    add = page.get_by_role("button", name="Add banana")
    tab_to(page, add)
    page.keyboard.press("Enter")
    shows(page, "banana added: 1 now.")
    page.keyboard.press("Alt+z")
    expect(add).to_be_visible()
    page.keyboard.press("Alt+a")
    shows(page, "banana added: 1 now.")


def test_the_camera_is_ready_again(open_page):
    """Two photos can be taken in a row without an extra click."""
    page = open_page("continuous")
    for count in (1, 2):
        page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0")  # it shows what it sees
        page.get_by_role("button", name="Take Photo").click()
        expect(page.get_by_role("heading", name=f"({count})")).to_be_visible()
