"""Keys: with some set, every call but the health checks needs one."""

import pytest

from tests.api.test_process_image import post, problem


@pytest.fixture
def guarded(start):
    return start(api_keys="first, second")


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first"},
        {"authorization": "bearer  second"},
        {"x-api-key": "second"},
    ],
)
def test_any_of_the_keys_opens(guarded, headers):
    """As a bearer token or in X-API-Key."""
    assert guarded.get("/labels", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer third"},
        {"authorization": "Basic first"},
        {"authorization": "first"},
        {"authorization": "Bearer"},
        {"x-api-key": ""},
        {"x-api-key": "first,second"},
        {"x-api-key": b"f\xfcrst"},
    ],
)
@pytest.mark.parametrize("path", ["/labels", "/pantry", "/docs", "/openapi.json", "/nothing"])
def test_anything_else_does_not(guarded, headers, path):
    """A wrong or missing key is 401, with the scheme that is asked for."""
    response = guarded.get(path, headers=headers)
    problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_body_is_not_read_without_a_key(guarded):
    """The key is looked at first."""
    problem(post(guarded, image_data="A" * 11_000_000), 401, "unauthorized")


def test_health_needs_no_key(guarded):
    """Load balancers have none."""
    assert guarded.get("/").status_code == 200
    assert guarded.get("/livez").status_code == 200


def test_without_keys_it_is_open(client):
    """No keys set means none asked."""
    assert client.get("/labels", headers={"x-api-key": "any"}).status_code == 200
