"""The `/pantry` calls."""

from urllib.parse import quote

import pytest

from tests.api.test_process_image import problem
from tests.fakes import as_base64, picture


def test_an_item_lives_and_dies(client):
    """PUT, GET, add, remove and DELETE work, with the count in every answer."""
    assert client.put("/pantry/rice", json={"count": 2}).json() == {"item": "rice", "count": 2}
    assert client.post("/pantry/rice/add", json={"quantity": 3}).json() == {"item": "rice", "count": 5}
    assert client.post("/pantry/rice/remove", json={"quantity": 9}).json() == {"item": "rice", "count": 0, "removed": 5}
    assert client.get("/pantry/rice").json() == {"item": "rice", "count": 0}
    assert client.get("/pantry").json() == {"items": [{"item": "rice", "count": 0}]}
    assert client.delete("/pantry/rice").json() == {"item": "rice", "count": 0}
    assert client.get("/pantry").json() == {"items": []}


def test_a_quantity_is_1_unless_said(client):
    """Add and remove work without a body."""
    assert client.post("/pantry/rice/add").json()["count"] == 1
    assert client.post("/pantry/rice/add", json={}).json()["count"] == 2
    assert client.post("/pantry/rice/remove").json()["count"] == 1


def test_names_are_lower_case_with_single_spaces(client):
    """`Soy  Sauce` and `soy sauce` are one item."""
    client.post("/pantry/Soy%20%20Sauce/add")
    client.post("/pantry/soy sauce/add")
    assert client.get("/pantry").json() == {"items": [{"item": "soy sauce", "count": 2}]}


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.get("/pantry/rice"),
        lambda c: c.delete("/pantry/rice"),
        lambda c: c.post("/pantry/rice/remove"),
    ],
)
def test_an_unknown_item_is_404(client, call):
    """A missing item can be neither read, taken nor deleted."""
    assert "no item 'rice'" in problem(call(client), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/pantry/rice", None),
        ("PUT", "/pantry/rice", {}),
        ("PUT", "/pantry/rice", {"count": -1}),
        ("PUT", "/pantry/rice", {"count": 1.5}),
        ("PUT", "/pantry/rice", {"count": "2"}),
        ("PUT", "/pantry/rice", {"count": 10**10}),
        ("PUT", "/pantry/rice", {"count": 1, "quantity": 1}),
        ("POST", "/pantry/rice/add", {"quantity": 0}),
        ("POST", "/pantry/rice/add", {"quantity": -1}),
        ("POST", "/pantry/rice/remove", {"count": 1}),
        ("PUT", "/pantry/" + "x" * 201, {"count": 1}),
        ("PUT", "/pantry/%20", {"count": 1}),
        ("PUT", "/pantry/a%00b", {"count": 1}),
    ],
)
def test_a_malformed_change_is_422(client, method, path, body):
    """Counts below 0, quantities below 1, wrong types, unknown fields and impossible names change nothing."""
    problem(client.request(method, path, json=body), 422, "invalid_request")
    assert client.get("/pantry").json() == {"items": []}


@pytest.mark.parametrize("name", ["1/2 litre of milk", "/", "rice/add", "rice/examples"])
def test_a_name_with_a_slash_is_422(client, name):
    """Firestore documents cannot have such a name, so every call rejects it."""
    client.post("/pantry/rice/examples", json={"images": [as_base64(picture())]})
    path = f"/pantry/{quote(name, safe='')}"
    for method, rest, body in [
        ("PUT", "", {"count": 1}),
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/add", None),
        ("POST", "/remove", None),
        ("GET", "/examples", None),
        ("DELETE", "/examples", None),
    ]:
        message = problem(client.request(method, path + rest, json=body), 422, "invalid_request")
        assert message.startswith(f"invalid item name {name!r}")
    assert client.get("/pantry").json() == {"items": [{"item": "rice", "count": 0}]}
    assert len(client.get("/pantry/rice/examples").json()["examples"]) == 1


CALLS = {
    "add": ("POST", "/pantry/rice/add", {"quantity": 2}),
    "remove": ("POST", "/pantry/rice/remove", {"quantity": 2}),
    "put": ("PUT", "/pantry/rice", {"count": 7}),
    "delete": ("DELETE", "/pantry/rice", None),
}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_sent_again_with_its_key_happens_once(client, call):
    """The second answer equals the first byte for byte, and the count does not change again."""
    method, path, body = CALLS[call]
    client.put("/pantry/rice", json={"count": 5})
    first = client.request(method, path, json=body, headers=KEY)
    assert first.status_code == 200
    after = client.get("/pantry").json()
    assert client.request(method, path, json=body, headers=KEY).content == first.content
    assert client.get("/pantry").json() == after
    assert client.request(method, path.replace("rice", "%20RICE"), json=body, headers=KEY).content == first.content


@pytest.mark.parametrize("call", ["remove", "put", "delete"])
def test_a_key_is_for_one_call(client, call):
    """With another call, another item or another quantity, a key that was used is 422, and nothing changes."""
    client.post("/pantry/rice/add", json={"quantity": 2}, headers=KEY)
    others = [CALLS[call], ("POST", "/pantry/salt/add", {"quantity": 2}), ("POST", "/pantry/rice/add", {"quantity": 3})]
    for method, path, body in others:
        response = client.request(method, path, json=body, headers=KEY)
        assert "another request before" in problem(response, 422, "invalid_request")
    assert client.get("/pantry").json() == {"items": [{"item": "rice", "count": 2}]}


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "tab\tbed", "é".encode("latin-1")])
def test_a_key_that_is_none_is_422(client, key):
    """A key has 1 to 255 visible ASCII characters: what is cut or mangled on the way must not look like another."""
    response = client.post("/pantry/rice/add", headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in problem(response, 422, "invalid_request")
    assert client.get("/pantry").json() == {"items": []}


def test_callers_with_different_api_keys_share_no_idempotency_key(start):
    """With either header for API keys, each caller's own change is applied once and gets its own answer."""
    client = start(api_keys="one,other")
    callers = [{"X-API-Key": "one"}, {"Authorization": "Bearer other"}, {"Authorization": "Bearer one"}]
    counts = [
        client.post("/pantry/rice/add", json={"quantity": 2}, headers=caller | KEY).json()["count"]
        for caller in (*callers, *callers)
    ]
    assert counts == [2, 4, 2, 2, 4, 2]
    body = {"image_data": as_base64(picture()), "pantry_update": {"operation": "add"}}
    answers = [
        client.post("/process-image", json=body, headers=caller | {"Idempotency-Key": "p"}) for caller in callers[:2]
    ]
    assert [answer.json()["pantry"]["count"] for answer in (*answers, *answers)] == [1, 2, 1, 2]


def test_without_a_pantry_changes_are_404(start):
    """A service that keeps no pantry has no items, and says why it takes none."""
    client = start(pantry="none")
    assert client.get("/pantry").json() == {"items": []}
    problem(client.put("/pantry/rice", json={"count": 1}), 404, "not_found")


def test_a_pantry_that_is_away_is_503(client):
    """Every call has Retry-After."""
    client.app.state.service.pantry.store._file.writer.execute("DROP TABLE items")
    for response in (client.get("/pantry"), client.post("/pantry/rice/add")):
        problem(response, 503, "store_unavailable")
        assert response.headers["retry-after"] == "5"


def test_an_unknown_path_is_404_and_a_wrong_method_405(client):
    """Both have the common error form; the second lists the allowed methods."""
    problem(client.get("/nothing/here"), 404, "not_found")
    response = client.get("/process-image")
    problem(response, 405, "invalid_request")
    assert response.headers["allow"] == "POST"
