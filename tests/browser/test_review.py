"""Reviewing pictures without a confident answer, and undoing changes."""

import re

import pytest
from larder_client import Larder
from playwright.sync_api import expect

from harness.server import ROOT
from tests.browser.conftest import new_site
from tests.browser.site import close_list, settled, shows
from tests.browser.test_access import WIDER, faults, in_the_end, tab_to
from tests.conftest import wait_until
from tests.nectar import nectar

SAMPLES = sorted((ROOT / "samples").glob("*.jpg"))


@pytest.fixture(scope="module")
def site(tmp_path_factory, new_data):
    """A separate site for this module, because other tests leave entries to review."""
    yield from new_site(tmp_path_factory.mktemp("review"), new_data())


@pytest.fixture
def larder(site):
    """A client through the same proxy; in the end the pantry is empty, and nothing is to be reviewed."""
    with Larder(f"{site.url}/api") as larder:
        yield larder
        for each in larder.review(100):
            larder.label(each.id, "anything")
        for each in larder.items():
            larder.delete(each.item)


def unsure(larder: Larder, *seeds: int) -> None:
    """Recognise cartons that the service does not know, once earlier tests' examples are gone."""

    def is_unsure(seed: int) -> bool:
        found = larder.recognise(nectar(seed))
        return not found.confident or found.known is False

    for seed in seeds:
        wait_until(lambda seed=seed: is_unsure(seed))


def test_one_click_labels_a_picture_that_is_then_recognised(larder, open_page, picture):
    """The picture has the best guesses as buttons; a typed name teaches it, and the next picture is recognised."""
    unsure(larder, 1)
    page = open_page("review", height=900)
    shows(page, "1 thing is waiting")
    expect(page.get_by_role("img", name=re.compile("^picture"))).to_be_visible()
    picture(page, "review")
    assert faults(page) == []
    page.get_by_role("combobox").click()
    page.keyboard.type("plum nectar")
    page.keyboard.press("Enter")
    shows(page, "plum nectar was taught by 1 picture")
    shows(page, "Nothing to review")
    assert faults(page) == []
    page.get_by_role("link", name="Recognise").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "carton.jpg", "mimeType": "image/jpeg", "buffer": nectar(2)}
    )
    shows(page, re.compile("(Confident:|perhaps) plum nectar"))


def test_a_guess_is_one_press_and_can_be_taken_back(larder, open_page):
    """The keyboard is enough; the undo deletes the example again."""
    unsure(larder, 3)
    (entry,) = larder.review()
    page = open_page("review")
    guess = page.get_by_role("button", name=re.compile(f"^{entry.top_k_items[0]} "))
    tab_to(page, guess)
    page.keyboard.press("Enter")
    shows(page, f"{entry.top_k_items[0]} was taught by 1 picture")
    assert len(larder.taught(entry.top_k_items[0])) == 1
    back = page.get_by_role("button", name="Take it back")
    tab_to(page, back)
    page.keyboard.press("Enter")
    shows(page, "has forgotten it")
    assert larder.taught(entry.top_k_items[0]) == []


def test_a_phone_reviews(larder, open_page, picture):
    """At 360 pixels several cards are below each other; a tap dismisses one."""
    unsure(larder, 4)
    for sample in SAMPLES:
        larder.recognise(sample, threshold=1)
    waiting = larder.review().total
    assert waiting >= 1
    page = open_page("review", width=360, height=740)
    shows(page, re.compile(f"^{waiting} things? (is|are) waiting"))
    expect(page.get_by_role("button", name="Dismiss")).to_have_count(min(12, waiting))
    assert in_the_end(lambda: page.evaluate(WIDER)) == []
    picture(page, "review-phone")
    assert faults(page) == []
    page.get_by_role("button", name="Dismiss").last.click()
    shows(page, "Dismissed: what looks the same is not asked for again")
    assert larder.review().total == waiting - 1


def test_a_change_is_undone(larder, open_page, picture):
    """The journal shows the change, it can be undone once, and a refused undo is reported."""
    larder.set_count("rice", 5)
    larder.add("rice", 2)
    larder.remove("rice", 1)
    larder.add("flour", 3)
    page = open_page("journal")
    shows(page, "rice put in: 5 → 7")
    picture(page, "journal")
    assert faults(page) == []
    page.get_by_role("button", name="Undo").nth(2).click()
    shows(page, "Undone: rice undone: 6 → 4")
    assert larder.item("rice").count == 4
    larder.set_count("flour", 1)
    page.get_by_role("textbox", name="Only this item").fill("flour")
    page.get_by_role("textbox", name="Only this item").press("Enter")
    shows(page, "flour set: 3 → 1")
    page.get_by_role("button", name="Undo").nth(1).click()
    expect(page.get_by_test_id("stAlert")).to_be_visible()
    assert larder.item("flour").count == 1
    page = open_page("journal", width=360, height=740)
    shows(page, "flour set: 3 → 1")
    assert in_the_end(lambda: page.evaluate(WIDER)) == []
    picture(page, "journal-phone")


def test_an_example_in_the_wrong_place_is_found_and_forgotten(larder, open_page, picture):
    """A link from the item's examples leads to the report, which names the example and deletes it."""
    larder.teach("plum nectar", [nectar(seed) for seed in range(4)])
    larder.teach("crate", [SAMPLES[0], SAMPLES[0].with_name("lime.jpg"), nectar(5)])
    page = open_page("teach")
    page.get_by_role("combobox", name="Item").click()
    page.keyboard.type("crate")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="How good is what was taught?").click()
    expect(page.get_by_role("heading", name="Examples that may mislead")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("crate plum nectar")).first).to_be_visible()
    settled(page)
    picture(page, "report")
    assert faults(page) == []
    page.get_by_role("combobox", name="Examples to forget").click()
    page.get_by_role("option", name=re.compile(larder.taught("crate")[2].id[:8])).click()
    close_list(page)
    page.get_by_role("button", name="Forget").click()
    shows(page, "1 example was forgotten")
    assert len(larder.taught("crate")) == 2
    page = open_page("report", width=360, height=740)
    expect(page.get_by_role("heading", name="Items")).to_be_visible()
    assert in_the_end(lambda: page.evaluate(WIDER)) == []
