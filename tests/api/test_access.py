"""Access: keys, pages of other origins, host names."""

import pytest

from app.api.middleware import check_host
from app.errors import Forbidden
from tests.api.test_process_image import problem

EVIL = {"origin": "https://evil.example"}
SELF = "http://127.0.0.1:8000"  # where the test client says that it has connected to


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first"},
        {"authorization": "bearer  second"},
        {"x-api-key": "second"},
        {"authorization": "Bearer other", "x-api-key": "first"},
        {"authorization": "Bearer first", "x-api-key": "other"},
        {"authorization": "Basic dTpw", "x-api-key": "first"},
        {"x-api-key": "schlüssel".encode()},
        {"authorization": b"Bearer \xd0\xba\xd0\xbb\xd1\x8e\xd1\x87"},
    ],
)
def test_any_of_the_keys_opens(start, headers):
    """A valid key works as a bearer token or in X-API-Key, even if the other header is invalid."""
    client = start(api_keys="first, second, schlüssel, ключ")
    assert client.get("/labels", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer third"},
        {"authorization": "Basic first"},
        {"authorization": "first"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer other", "x-api-key": "another"},
        {"x-api-key": ""},
        {"x-api-key": "first,second"},
        {"x-api-key": b"f\xfcrst"},
    ],
)
@pytest.mark.parametrize("path", ["/labels", "/pantry", "/static-offline-docs", "/nothing"])
def test_anything_else_does_not(start, headers, path):
    """A wrong or missing key is 401, with the expected scheme."""
    response = start(api_keys="first, second").get(path, headers=headers)
    problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/pantry/rice/add", {}),
        ("POST", "/pantry/rice/remove", {}),
        ("PUT", "/pantry/rice", {"json": {"count": 3}}),
        ("DELETE", "/pantry/rice", {}),
        (
            "POST",
            "/mv_retrieval/v0.1/add_content?id=a&type=text",
            {"content": "x", "headers": {"content-type": "text/plain"}},
        ),
        ("POST", "/feedback", {"json": {}}),
    ],
)
@pytest.mark.parametrize(
    "page",
    [
        EVIL,
        EVIL | {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
        {"origin": "https://evil.example:8000"},
        {"origin": "http://127.0.0.1:8000.evil.example"},
    ],
)
def test_pages_of_other_origins_change_nothing(start, method, path, more, page):
    """Without keys, a browser request from a page of another origin is 403."""
    client = start()
    headers = more.get("headers", {}) | page
    response = client.request(method, SELF + path, **{**more, "headers": headers})
    assert "add it to LARDER_CORS" in problem(response, 403, "forbidden")
    assert client.get("/pantry").json()["items"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": SELF},
        {"origin": SELF, "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": "https://larder.example", "sec-fetch-site": "same-origin"},
        {"origin": "https://larder.example", "x-forwarded-host": "larder.example"},
        {"origin": "https://LARDER.example", "host": "larder.example"},
        {"origin": "https://page.example", "sec-fetch-site": "cross-site"},
    ],
)
def test_others_change_what_they_like(start, headers):
    """Programs, the service's own pages (also behind a proxy) and the origins of LARDER_CORS are allowed."""
    client = start(cors="https://page.example", hosts="larder.example")
    assert client.post(f"{SELF}/pantry/rice/add", headers=headers).status_code == 200


def test_pages_of_other_origins_may_be_allowed_at_all(start):
    """LARDER_CORS=* allows every origin."""
    assert start(cors="*").post(f"{SELF}/pantry/rice/add", headers=EVIL).status_code == 200


def test_with_keys_origins_and_names_do_not_matter(start):
    """A foreign page has no key, so keys are enough."""
    client = start(api_keys="k")
    headers = EVIL | {"x-api-key": "k", "host": "larder.example", "sec-fetch-site": "cross-site"}
    assert client.post(f"{SELF}/pantry/rice/add", headers=headers).status_code == 200


def test_reading_is_left_to_the_browser(client):
    """A browser does not let a page read an answer without a CORS header."""
    response = client.get(f"{SELF}/pantry", headers=EVIL | {"sec-fetch-site": "cross-site"})
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "host", ["rebind.evil.example", "rebind.evil.example:8000", "127.0.0.1.evil.example", "x@127.0.0.1"]
)
def test_on_loopback_a_name_of_somebody_else_is_refused(client, host):
    """A page whose name was rebound to loopback can neither read nor change, but the probes answer."""
    for method, path in (("GET", "/pantry"), ("POST", "/pantry/rice/add"), ("GET", "/docs")):
        response = client.request(method, SELF + path, headers={"host": host})
        assert "add it to LARDER_HOSTS" in problem(response, 403, "forbidden")
    assert client.get(f"{SELF}/livez", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8000", "a.localhost", "127.0.0.1", "[::1]:8000", "192.168.1.5", "localhost."]
)
def test_on_loopback_addresses_and_localhost_are_its_own(client, host):
    """They cannot be rebound."""
    assert client.get(f"{SELF}/pantry", headers={"host": host}).status_code == 200


def test_other_names_may_be_allowed(start):
    """LARDER_HOSTS lists the allowed names, or allows all."""
    named, open_to_all = start(hosts="Larder.example"), start(hosts="*")
    assert named.get(f"{SELF}/pantry", headers={"host": "larder.example:8080"}).status_code == 200
    assert named.get("http://192.168.1.5/pantry", headers={"host": "other.example"}).status_code == 403
    assert open_to_all.get(f"{SELF}/pantry", headers={"host": "other.example"}).status_code == 200


def test_elsewhere_any_name_will_do(client, start):
    """A service on a network or a platform is called by names that it does not know."""
    assert client.get("http://192.168.1.5/pantry", headers={"host": "larder.example"}).status_code == 200
    everywhere = start(host="0.0.0.0")
    assert everywhere.get(f"{SELF}/pantry", headers={"host": "larder.example"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "[::1", "a b", "evil.example/localhost", "::1", "localhost:8000:1", ".localhost/"]
)
def test_a_host_that_is_none_is_refused(host):
    """Anything but NAME or NAME:PORT is rejected."""
    with pytest.raises(Forbidden):
        check_host(host, ["larder.example"])
