"""Chromium against the whole site; without it or nginx the tests are skipped with a loud message."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from larder_client import Larder
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.site import Site, settled
from tests.reverse_proxy import MISSING as NO_NGINX
from tests.reverse_proxy import find_nginx
from tests.untested import there

NO_CHROMIUM = "Chromium is not there: install it, with `apt-get install chromium` for instance"
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
NAME = "--host-resolver-rules=MAP larder.example 127.0.0.1"
PATIENCE = 240_000  # milliseconds for whatever a person would wait for
WHAT = "the pages in a browser"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, new_data: Callable[[], Path]) -> Iterator[Site]:
    """One site shared by all tests."""
    yield from new_site(tmp_path_factory.mktemp("site"), new_data())


def new_site(folder: Path, data: Path) -> Iterator[Site]:
    """Start a site with its files in these folders, and stop it in the end."""
    there(find_nginx(), WHAT, NO_NGINX)
    with closing(Site(folder, data)) as site:
        yield site


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser with a test picture as camera; per module, since its event loop disturbs other tests' asyncio."""
    program = there(shutil.which("chromium") or shutil.which("google-chrome"), WHAT, NO_CHROMIUM)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=[*CAMERA, NAME, *root])
        yield browser
        browser.close()


@pytest.fixture
def open_page(site: Site, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page by its path in a fresh browser profile; in the end the pantry is empty."""
    contexts = []

    def open_page(path: str = "", width: int = 1200, height: int = 850) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, permissions=["camera"])
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{site.url}/{path}")
        settled(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    with Larder(f"{site.url}/api") as larder:
        for each in larder.items():
            larder.delete(each.item)


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Save a page as a small PNG to the folder SCREENSHOTS, if set; `make screenshots` sets it."""

    def picture(page: Page, name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            expect(page.get_by_test_id("stSkeleton")).to_have_count(0)  # what stands for widgets that are being loaded
            page.mouse.move(0, 0)
            shot = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
            shot.convert("RGB").quantize(256).save(Path(folder) / f"{name}.png", optimize=True)

    return picture
