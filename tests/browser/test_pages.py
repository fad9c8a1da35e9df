"""A visit to the pages: recognise pictures, count their items, add pictures to the gallery."""

import re

from larder_client import Larder
from PIL import Image
from playwright.sync_api import expect

from harness.server import ROOT
from tests.browser.site import settled, shows
from tests.browser.test_access import faults
from tests.fakes import as_bytes

SAMPLES = ROOT / "samples"
VERDICT = re.compile("Confident|Unsure|Unknown")


def test_a_picture_is_uploaded_and_counted(open_page, picture):
    """The item is shown with its bars; after a press of a button the pantry has one more of it."""
    page = open_page(height=1320)
    page.locator("input[type=file]").set_input_files(SAMPLES / "banana.jpg")
    shows(page, "Confident: banana")
    expect(page.get_by_role("row").nth(1)).to_contain_text("banana")
    expect(page.get_by_label("Item")).to_have_value("banana")
    expect(page.get_by_role("button", name="Increment")).to_be_visible()
    picture(page, "recognise")
    page.get_by_role("button", name="Add to the pantry").click()
    shows(page, "Added 1: the pantry has 1 of banana now.")
    page.get_by_role("link", name="Pantry").click()
    expect(page.get_by_role("row", name="banana 1")).to_be_visible()


def test_the_camera_takes_a_picture(open_page):
    """A picture from the browser's camera is recognised too."""
    page = open_page()
    page.get_by_role("radio", name="Camera").click()
    page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0")  # it shows what it sees
    page.get_by_role("button", name="Take Photo").click()
    shows(page, VERDICT)
    expect(page.get_by_role("row")).to_have_count(6)


def test_any_name_leads_to_the_page(site, open_page):
    """Its websocket is accepted under an unconfigured host name."""
    page = open_page()
    page.goto(site.url.replace("127.0.0.1", "larder.example"))
    page.get_by_role("radio", name="Sample").click()
    shows(page, VERDICT)


def test_ones_own_labels(open_page, picture):
    """A sample is classified among typed labels and their categories."""
    page = open_page("classify")
    page.get_by_role("radio", name="Sample").click()
    page.get_by_role("textbox", name="Labels, with commas between them").fill(
        "lemon | fruit, avocado | fruit, milk | drink"
    )
    page.get_by_role("textbox", name="Labels, with commas between them").press("Control+Enter")
    expect(page.get_by_role("row", name=re.compile("^avocado")).first).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^drink"))).to_be_visible()
    picture(page, "classify")


def test_contents_are_added_and_found(open_page, picture):
    """Of several pictures a bad one is reported; a text finds the right ones, and they find similar ones."""
    page = open_page("search")
    page.get_by_role("tab", name="Add").click()
    pictures = [
        {"name": path.name, "mimeType": "image/jpeg", "buffer": path.read_bytes()} for path in SAMPLES.glob("*.jpg")
    ]
    page.locator("input[type=file]").last.set_input_files(
        [*pictures, {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"no"}]
    )
    page.get_by_role("button", name="Add", exact=True).click()
    shows(page, f"Added {len(pictures)} to default.")
    shows(page, "bad.jpg: This picture cannot be read")
    page.get_by_role("tab", name="Find").click()
    page.get_by_role("textbox", name="Text").fill("a yellow lemon")
    page.get_by_role("textbox", name="Text").press("Enter")
    expect(page.get_by_role("img", name=re.compile("^picture"))).to_have_count(10)
    shows(page, "file: lemon.jpg")
    picture(page, "search")
    page.get_by_role("button", name="More like this").first.click()
    shows(page, "More like default/")
    expect(page.get_by_role("img", name=re.compile("^picture"))).to_have_count(10)


def enter(page, name, text):
    """Type a text into a field and press Enter, as a person who waits for the page."""
    field = page.get_by_role("textbox", name=name, exact=True)
    field.fill(text)
    field.press("Enter")
    settled(page)


def test_a_question_is_weighted_and_copies_are_deleted(site, open_page, picture):
    """This picture, plus "green", minus "apple", with a least cosine; then its smaller copy is found and deleted."""
    with Larder(f"{site.url}/api") as larder:
        for path in SAMPLES.glob("*.jpg"):
            larder.put_picture(f"shop/{path.stem}", path, metadata={"file": path.name}, collection="shop", shrink=False)
    page = open_page("search", height=1000)
    enter(page, "In the collection", "shop")
    enter(page, "Text", "a granny smith apple")
    page.get_by_role("button", name="More like this").first.click()
    shows(page, "More like shop/granny-smith-apple")
    settled(page)
    enter(page, "And more like", "green")
    enter(page, "But less like", "an apple")
    for _ in range(24):  # from -1 to 0.2
        page.get_by_role("slider", name="Cosine at least").press("ArrowRight")
    shows(page, "file: lime.jpg")
    expect(page.get_by_text("file: red-bell-pepper.jpg")).to_have_count(0)
    picture(page, "weighted")
    assert faults(page) == []
    small = as_bytes(Image.open(SAMPLES / "granny-smith-apple.jpg").resize((240, 240)), "JPEG")
    with Larder(f"{site.url}/api") as larder:
        larder.put_picture("shop/small", small, metadata={"file": "small.jpg"}, collection="shop")
    page.get_by_role("link", name="Duplicates").click()
    expect(page.get_by_role("button", name="Look for duplicates")).to_be_visible()
    settled(page)
    enter(page, "In the collection", "shop")
    page.get_by_role("button", name="Look for duplicates").click()
    shows(page, "Keep granny-smith-apple.jpg: most pixels")
    expect(page.get_by_role("img", name=re.compile("^picture shop."))).to_have_count(2)
    picture(page, "duplicates")
    assert faults(page) == []
    page.get_by_role("button", name="Delete the marked ones").click()
    shows(page, "No duplicates are left")
    with Larder(f"{site.url}/api") as larder:
        assert "shop/small" not in [each.id for each in larder.contents("shop")]
        larder.delete_collection("shop")
