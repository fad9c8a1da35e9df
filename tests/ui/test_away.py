"""The pages when the service is unreachable, starting, or requires a key."""

import signal
import socket

import httpx2
import pytest
from streamlit.testing.v1 import AppTest

from app.ui import connection
from harness.server import ROOT, Server
from tests.client.misbehaving import SILENT, Misbehaving
from tests.conftest import wait_until
from tests.ui.conftest import said, sample, several, whole


@pytest.fixture
def nobody(monkeypatch):
    """An address without a service, used by the pages."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("LARDER_URL", f"http://127.0.0.1:{port}")
    return port


@pytest.mark.parametrize("name", ["recognise", "classify", "teach", "search", "pantry", "service"])
def test_a_service_that_is_away_is_said_once_with_its_address(nobody, open_page, name):
    """One sentence names the address and says that the page retries, without a traceback."""
    page = open_page(name)
    assert len(page.error) == 1
    assert f"http://127.0.0.1:{nobody} cannot be reached" in said(page)
    assert any("looks again every 3 seconds" in each.value for each in page.caption)


def test_a_password_of_the_address_is_not_shown(nobody, open_page, monkeypatch):
    """The address is shown without user and password."""
    monkeypatch.setenv("LARDER_URL", f"http://user:hunter2@127.0.0.1:{nobody}")
    page = open_page("service")
    assert f"http://127.0.0.1:{nobody} cannot be reached" in said(page)
    assert "hunter2" not in said(page)


def test_a_proxy_that_cannot_be_used_is_said(open_page, monkeypatch):
    """An invalid proxy setting is reported on the page instead of an exception."""
    monkeypatch.setenv("LARDER_URL", "http://larder.example")
    for name in ("ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "socks://127.0.0.1:1/")
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert "through the proxy socks://127.0.0.1:1/" in said(open_page("service"))


def test_the_page_goes_on_when_the_service_is_back(open_page, monkeypatch, new_data):
    """A picture selected during an outage is recognised without being selected again."""
    with Server(data=new_data(), drain=0) as first:
        monkeypatch.setenv("LARDER_URL", f"http://127.0.0.1:{first.port}")
        page = open_page("recognise")
        first.ready()
    page = several(page, sample("banana"))
    assert "cannot be reached" in said(page)
    with Server(data=new_data(), drain=0, port=first.port) as second:
        second.client.base_url = f"http://127.0.0.1:{first.port}"
        second.ready()
        assert "Confident: banana" in said(whole(page.run())).replace("*", "")


def test_a_service_that_drains_is_said_to(open_page, monkeypatch, new_data):
    """The page shows the service's state and retries."""
    with Server(data=new_data(), drain=60) as server:
        server.ready()
        monkeypatch.setenv("LARDER_URL", f"http://127.0.0.1:{server.port}")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.client.get("/").status_code == 503)
        page = open_page("search")
    assert "is draining" in said(page)
    assert any("looks again" in each.value for each in page.caption)


def test_an_answer_has_a_limit_of_its_own(url, open_page, monkeypatch):
    """A service that does not tell its health is reported within that limit, one that only computes within a longer."""
    health = {"status": 200, "body": httpx2.get(url).text}
    for script, limits in (
        ([SILENT], {"HEALTH_S": 0.1, "ANSWER_S": 3600}),
        ([health, health, SILENT], {"HEALTH_S": 3600, "ANSWER_S": 0.1}),
    ):
        with Misbehaving(*script) as server:
            monkeypatch.setenv("LARDER_URL", server.url)
            for name, seconds in limits.items():
                monkeypatch.setattr(connection, name, seconds)
            page = several(open_page("recognise"), sample("banana"))
            assert f"{server.url} did not answer in time" in said(page)
            assert any("looks again" in each.value for each in page.caption)


def test_a_key_is_asked_for_and_used(open_page, monkeypatch, new_data):
    """Without a key the page names the variable; with one it works."""
    with Server(data=new_data(), drain=0, api_keys="a-key") as server:
        server.ready()
        monkeypatch.setenv("LARDER_URL", f"http://127.0.0.1:{server.port}/")
        assert "LARDER_API_KEY" in said(open_page("pantry"))
        monkeypatch.setenv("LARDER_API_KEY", "a-key")
        assert "The pantry is empty" in said(open_page("pantry"))


def test_the_frame_opens_on_recognise(nobody):
    """app/ui/main.py as `streamlit run` starts it shows the first page and its errors."""
    page = whole(AppTest.from_file(ROOT / "app/ui/main.py", default_timeout=240).run())
    assert [each.value for each in page.title] == ["Recognise"]
    assert "cannot be reached" in said(page)
