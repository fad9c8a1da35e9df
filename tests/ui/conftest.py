"""The pages as a user sees them: run by Streamlit's AppTest against a service in a separate process."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from larder_client import Larder
from streamlit.testing.v1 import AppTest

from harness.server import ROOT, Server

SAMPLES = ROOT / "samples"
SOURCE = "Where the picture comes from"
FILES = "Picture files, up to 16"


@pytest.fixture(scope="session")
def url(new_data):
    """The service that `make run` serves, with its files in an empty folder."""
    with Server(data=new_data(), drain=0, log_level="error") as server:  # nobody reads it
        server.ready()
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def larder(url, monkeypatch):
    """A client of the service that the pages use in this test."""
    monkeypatch.setenv("LARDER_URL", url)
    with Larder(url) as larder:
        yield larder


@pytest.fixture
def open_page() -> Callable[[str], AppTest]:
    """Open a page by its module's name, in the frame of app/ui/main.py."""
    script = "from app.ui.screens import {0}\nfrom app.ui.sentences import said\nwith said():\n    {0}.page()\n"
    return lambda name: whole(AppTest.from_string(script.format(name), default_timeout=240).run())


def whole(page: AppTest) -> AppTest:
    """Return the page after checking that it shows no exception."""
    assert not page.exception, [each.value for each in page.exception]
    return page


def button(page: AppTest, label: str) -> AppTest:
    """Return the page after pressing the button."""
    return whole(next(each for each in page.button if each.label == label).click().run())


def named(widgets, label: str):
    """Return the widget with a label."""
    return next(each for each in widgets if each.label == label)


def upload(page: AppTest, data: bytes, name: str = "picture.jpg", label: str = "A picture file") -> AppTest:
    """Return the page after a file was selected."""
    kind = "text/plain" if name.endswith("txt") else "image/jpeg"
    return whole(named(page.file_uploader, label).set_value((name, data, kind)).run())


def several(page: AppTest, *pictures: bytes) -> AppTest:
    """Return the page Recognise after files were selected."""
    return whole(named(page.file_uploader, FILES).set_value(files(pictures)).run())


def files(pictures: Sequence[bytes]) -> list[tuple[str, bytes, str]]:
    """Pictures as 1.jpg, 2.jpg and so on."""
    return [(f"{place}.jpg", data, "image/jpeg") for place, data in enumerate(pictures, start=1)]


def type_into(page: AppTest, label: str, text: str) -> None:
    """Type a value that may not be among a selectbox's options, as a browser would send it."""
    box = named(page.selectbox, label)
    box.options.append(text)
    box.select(text)


def sample(name: str) -> bytes:
    """A drawn picture."""
    return Path(SAMPLES / f"{name}.jpg").read_bytes()


def said(page: AppTest) -> str:
    """Return all texts in the page's message boxes."""
    boxes = [each.value for kind in ("error", "warning", "info", "success") for each in getattr(page, kind)]
    return "\n".join(boxes).replace("\\", "")
