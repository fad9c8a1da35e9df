"""The pages for those who use a keyboard, a screen reader or a phone."""

import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from harness.server import ROOT
from tests.browser.site import shows

PAGES = {
    "": "Recognise",
    "continuous": "Continuous",
    "classify": "Classify",
    "teach": "Teach",
    "review": "Review",
    "report": "Report",
    "journal": "Journal",
    "search": "Search",
    "pantry": "Pantry",
    "data-set": "Data set",
    "compare": "Compare",
    "service": "Service",
}
EVERY = pytest.mark.parametrize("path", PAGES)
STREAMLITS = {"presentation-role-conflict": {"enabled": False}}  # its upload areas have a role that none needs
WIDER = """() => [document.documentElement, ...document.querySelectorAll('[data-testid=stMain]')]
    .filter(each => each.scrollWidth > each.clientWidth).map(each => each.tagName)"""


def settled(page, path):
    """Wait until the page has finished without an exception, and return it."""
    expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[path])  # where it fails it says what is there
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    return page


def in_the_end(look):
    """Return the violations after the page had time to draw itself; none are expected."""
    deadline = time.monotonic() + 120
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def faults(page):
    """Format axe's findings: rule and place."""
    found = in_the_end(lambda: Axe().run(page, options={"rules": STREAMLITS}).response["violations"])
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]


@EVERY
def test_screen_readers_find_names_and_eyes_find_contrast(open_page, path):
    """Axe reports nothing: names of controls, texts of pictures, order of headings, and contrast."""
    assert faults(settled(open_page(path), path)) == []


@EVERY
def test_a_phone_scrolls_downwards_only(open_page, path):
    """At 360 pixels the page is not wider than the window."""
    page = settled(open_page(path, width=360, height=740), path)
    assert in_the_end(lambda: page.evaluate(WIDER)) == []


def test_a_phone_shows_the_answer(open_page, picture):
    """The bars fit below the picture, and axe has nothing to say of them either."""
    page = settled(open_page(width=360, height=740), "")
    page.locator("input[type=file]").set_input_files(ROOT / "samples/carrots.jpg")
    shows(page, "Confident: carrots")
    page.get_by_text("Confident: carrots").scroll_into_view_if_needed()
    assert in_the_end(lambda: page.evaluate(WIDER)) == []
    picture(page, "phone")
    assert faults(page) == []


def test_a_phone_shows_the_verdict_below_an_upright_photograph(open_page, tmp_path):
    """Both are on the first screen, without scrolling."""
    page = settled(open_page(width=390, height=844), "")
    file = tmp_path / "photo.jpg"
    Image.open(ROOT / "samples/carrots.jpg").resize((600, 900)).save(file)
    page.locator("input[type=file]").set_input_files(file)
    verdict = page.get_by_text("Confident: carrots")
    expect(verdict).to_be_in_viewport(ratio=1)


def tab_to(page, wanted):
    """Press Tab until an element has the focus."""
    expect(wanted).to_be_visible()
    for _ in range(40):
        if wanted.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {wanted}")


def test_the_keyboard_alone_counts_bananas(open_page):
    """Everything from selecting a sample to the new count works without a mouse."""
    page = settled(open_page(), "")
    press = page.keyboard.press
    tab_to(page, page.get_by_role("radio", name="Upload"))
    press("ArrowRight")
    press("ArrowRight")
    press("Space")
    tab_to(page, page.get_by_role("combobox", name="A drawn picture"))
    page.keyboard.type("banana")
    press("Enter")
    expect(page.get_by_role("textbox", name="Item")).to_have_value("banana")
    tab_to(page, page.get_by_role("button", name="Add to the pantry"))
    press("Enter")
    shows(page, "the pantry has 1 of banana now")
