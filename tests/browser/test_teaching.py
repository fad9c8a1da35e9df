"""Teaching on the pages: examples, frames, shelves, corrections."""

import re

import pytest
from larder_client import Larder
from playwright.sync_api import expect

from samples.draw import draw
from tests.browser.site import close_list, settled, shows
from tests.browser.test_access import WIDER, faults, in_the_end, tab_to
from tests.fakes import as_bytes
from tests.nectar import nectar
from tests.shelves import shelf

THINGS = ["granny-smith-apple", "banana", "carrots", "lime", "avocado", "orange"]


@pytest.fixture
def larder(site):
    """A client through the same proxy; in the end the pantry is empty."""
    with Larder(f"{site.url}/api") as larder:
        yield larder
        for each in larder.items():
            larder.delete(each.item)


def choose(page, *pictures: bytes):
    """Choose files named 1.jpg, 2.jpg and so on."""
    settled(page)
    page.locator("input[type=file]").set_input_files(
        [
            {"name": f"{place}.jpg", "mimeType": "image/jpeg", "buffer": data}
            for place, data in enumerate(pictures, start=1)
        ]
    )


def type_into(page, name: str, text: str):
    """Choose an item or type a new one, as the keyboard does it."""
    page.get_by_role("combobox", name=name).click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def teach(page, item: str, *pictures: bytes):
    """Teach an item on its page."""
    type_into(page, "Item", item)
    shows(page, f"{item} has none yet")
    choose(page, *pictures)
    page.get_by_role("button", name="Teach").click()


def test_a_new_thing_is_recognised_after_five_pictures(larder, open_page, picture):
    """Pictures and remarks are shown, the next picture is recognised, and all of it can be forgotten."""
    page = open_page("teach", height=1350)
    teach(page, "plum nectar", *map(nectar, range(5)), nectar(1, quality=88))
    shows(page, "plum nectar was taught by 6 pictures")
    shows(page, ": nearly the same as")
    expect(page.get_by_role("row")).to_have_count(7)
    expect(page.get_by_role("img", name=re.compile("jpg$"))).to_have_count(6)
    picture(page, "teach")
    assert faults(page) == []
    page.get_by_role("link", name="Recognise").click()
    choose(page, nectar(6))
    shows(page, re.compile("(Confident:|perhaps) plum nectar"))
    page.get_by_role("link", name="Teach").click()
    type_into(page, "Item", "plum nectar")
    page.get_by_role("combobox", name="Examples to forget").click()
    page.get_by_role("option", name="Select all").click()
    close_list(page)
    page.get_by_role("button", name="Forget").click()
    shows(page, "6 examples were forgotten")
    shows(page, "plum nectar has none yet")


def test_frames_are_one_thing(larder, open_page):
    """Pictures that are picked together get one answer, without the one that is of something else."""
    page = open_page()
    frames = [as_bytes(draw("banana", seed, 240), "JPEG") for seed in range(3)]
    choose(page, *frames, nectar(1))
    shows(page, "Confident: banana")
    shows(page, "Agreement: 3 of 4")
    shows(page, "1 left out, too unlike the others")
    expect(page.get_by_role("img", name=re.compile("jpg$"))).to_have_count(4)


def test_a_shelf_is_counted(larder, open_page, picture):
    """The page shows numbered boxes and the list, and adds all items at the button, not at Enter in a number."""
    page = open_page(height=1200)
    page.get_by_text("A shelf").click()
    choose(page, shelf(*THINGS))
    shows(page, "Found: 6 things")
    expect(page.get_by_role("img", name="1.jpg, with 6 numbered boxes")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile(r"carrots 1 \d"))).to_be_visible()
    expect(page.get_by_role("button", name="Increment")).to_have_count(6)
    picture(page, "shelf")
    assert faults(page) == []
    settled(page)
    page.get_by_label("carrots").fill("5")
    page.get_by_label("carrots").press("Enter")
    settled(page)
    page.get_by_role("button", name="Add all to the pantry").click()
    shows(page, "5 of carrots")
    assert {each.item: each.count for each in larder.items()} == dict.fromkeys(
        ["avocado", "banana", "granny smith apple", "lime", "orange"], 1
    ) | {"carrots": 5}


def test_a_correction_teaches(larder, open_page):
    """The correction is typed below the answer, and the answer changes."""
    page = open_page()
    choose(page, nectar(6))
    type_into(page, "It is", "plum nectar")
    page.get_by_role("button", name="Send the correction").click()
    shows(page, "Noted: plum nectar")
    shows(page, "Confident: plum nectar")
    expect(page.get_by_role("combobox", name="It is")).to_have_value("")  # ready for the next
    assert len(larder.taught("plum nectar")) == 1
    assert faults(page) == []


def test_a_phone_shows_shelves_and_remarks(larder, open_page):
    """At 360 pixels the boxes, the list and the remarks fit."""
    page = open_page(width=360, height=740)
    page.get_by_text("A shelf").click()
    choose(page, shelf(*THINGS))
    shows(page, "Found: 6 things")
    assert in_the_end(lambda: page.evaluate(WIDER)) == []
    page = open_page("teach", width=360, height=740)
    teach(page, "plum nectar", nectar(1), nectar(1, quality=88))
    shows(page, ": nearly the same as")
    assert in_the_end(lambda: page.evaluate(WIDER)) == []
    assert faults(page) == []


def test_the_keyboard_alone_teaches(larder, open_page):
    """Everything from typing the item to its first example works without a mouse."""
    page = open_page("teach")
    press = page.keyboard.press
    tab_to(page, page.get_by_role("combobox", name="Item"))
    page.keyboard.type("my banana")
    press("Enter")
    tab_to(page, page.get_by_role("radio", name="Upload"))
    press("ArrowRight")
    press("ArrowRight")
    press("Space")
    tab_to(page, page.get_by_role("combobox", name="A drawn picture"))
    page.keyboard.type("banana")
    press("Enter")
    tab_to(page, page.get_by_role("button", name="Teach"))
    press("Enter")
    shows(page, "my banana was taught by 1 picture")
    shows(page, ": looks like banana")
