"""The proxy: what it passes to the service and the pages, and what it answers itself."""

import httpx2
import pytest
from larder_client import Busy, ImageTooLarge, Item, Larder

from harness.emulator import free_port
from tests.client.misbehaving import OK, Misbehaving
from tests.reverse_proxy import ReverseProxy


@pytest.fixture
def proxy(nginx, tmp_path):
    """A proxy to a fake service and a fake page that record their requests."""
    with (
        Misbehaving(OK) as api,
        Misbehaving(OK) as ui,
        ReverseProxy(tmp_path, host(api), host(ui), max_body=100_000) as proxy,
    ):
        proxy.api, proxy.ui = api, ui
        yield proxy


def host(server):
    return server.url.removeprefix("http://")


def test_the_prefix_is_stripped_and_nothing_else(proxy):
    """A client at /api/ reaches the service; a slash within a name arrives as it was sent."""
    with Larder(f"{proxy.url}/api", key="secret") as larder:
        assert larder.add("half/half? 50 %") == Item("banana", 4)
    (request,) = proxy.api.requests
    assert request["path"] == "/pantry/half%2Fhalf%3F%2050%20%25/add"
    headers = {name.lower(): value for name, value in request["headers"].items()}
    assert (headers["authorization"], len(headers["idempotency-key"])) == ("Bearer secret", 32)
    assert (headers["host"], headers["x-forwarded-for"]) == (proxy.url.removeprefix("http://"), "127.0.0.1")
    assert headers["x-forwarded-prefix"] == "/api"
    httpx2.get(f"{proxy.url}/api/labels?a=%2F&b=%20")
    assert proxy.api.requests[-1]["path"] == "/labels?a=%2F&b=%20"
    assert httpx2.get(f"{proxy.url}/api", follow_redirects=False).headers["location"] == "/api/"
    assert proxy.ui.requests == []


def test_everything_else_is_the_pages(proxy):
    """Paths and websocket upgrades arrive unchanged."""
    own = {"Connection": "Upgrade", "Upgrade": "websocket", "X-Forwarded-Prefix": "/else"}
    httpx2.get(f"{proxy.url}/apiary?x=1", headers=own)
    (request,) = proxy.ui.requests
    assert request["path"] == "/apiary?x=1"
    assert (request["headers"]["Upgrade"], request["headers"]["Connection"]) == ("websocket", "upgrade")
    assert "X-Forwarded-Prefix" not in request["headers"]
    assert proxy.api.requests == []


def test_a_body_over_the_services_limit_is_refused_in_its_form(proxy):
    """The client raises what it raises without a proxy; the page takes larger files."""
    with Larder(f"{proxy.url}/api") as larder, pytest.raises(ImageTooLarge, match="100000 bytes") as raised:
        larder.recognise(b"\0" * 100_001)
    assert raised.value.request_id
    assert proxy.api.requests == []
    assert httpx2.put(f"{proxy.url}/upload", content=b"\0" * 3_000_000).status_code == 200
    assert len(proxy.ui.requests[0]["body"]) == 3_000_000


def test_a_service_that_is_away_is_to_be_asked_again(nginx, tmp_path):
    """The answer is 503 with Retry-After, in the service's form, so the client retries."""
    away = f"127.0.0.1:{free_port()}"
    with ReverseProxy(tmp_path, away, away) as proxy, Larder(f"{proxy.url}/api", retries=0) as larder:
        with pytest.raises(Busy, match="cannot be reached") as raised:
            larder.labels()
        assert raised.value.retry_after == 1
        assert httpx2.get(proxy.url).status_code == 502
