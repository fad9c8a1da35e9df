"""The older form of adding and searching contents."""

import pytest

from tests.api.test_process_image import problem
from tests.fakes import as_bytes, picture

BASE = "/mv_retrieval/v0.1"


def add(client, id, body, type="text"):
    return client.post(f"{BASE}/add_content", params={"id": id, "type": type}, content=body)


def retrieve(client, body, type="text", **params):
    return client.post(f"{BASE}/retrieve_contents", params={"type": type, "k": 10} | params, content=body)


def test_what_is_added_is_retrieved(client):
    """Raw bodies go in; ids and cosines come out, best first, for any k."""
    answer = add(client, "a/1", b"a red thing").json()
    assert answer["msg"] == "Content a/1 successfully added to the indexer"
    assert isinstance(answer["time"], float)
    add(client, "p", as_bytes(picture("blue")), type="image")
    found = retrieve(client, as_bytes(picture("red")), type="image").json()
    assert found["contents"] == ["a/1", "p"]
    assert found["scores"] == sorted(found["scores"], reverse=True)
    assert retrieve(client, "blue", k=1).json()["contents"] == ["p"]


def test_nothing_stored_is_nothing_found(client):
    """An empty index gives empty lists."""
    assert retrieve(client, "red").json() == {"contents": [], "scores": []}


def test_an_equal_embedding_is_stored_once(client):
    """The message names the id that has it; another embedding under that id replaces it."""
    add(client, "a", "red")
    for id in ("b", "a"):
        answer = add(client, id, "something red").json()
        assert answer["msg"] == "Content arleady present in the MV archive with id: a"
    assert client.get("/contents").json() == {"count": 1}
    assert "successfully" in add(client, "a", "blue").json()["msg"]
    assert "successfully" in add(client, "b", "red").json()["msg"]
    assert retrieve(client, "red").json()["contents"] == ["b", "a"]


def test_both_forms_share_the_contents(client):
    """An entry added through one API is found through the other."""
    client.put("/contents/x", json={"type": "text", "text": "red"})
    assert retrieve(client, "red").json()["contents"] == ["x"]
    assert "with id: x" in add(client, "y", "red").json()["msg"]
    add(client, "z", "blue")
    assert client.get("/contents/z").json()["text"] == "blue"


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.post(f"{BASE}/add_content?type=text", content=b"a"),
        lambda c: c.post(f"{BASE}/add_content?id=a", content=b"a"),
        lambda c: add(c, "a", b"a", type="sound"),
        lambda c: add(c, "a", b""),
        lambda c: add(c, "a", b"\xff\xfe"),
        lambda c: add(c, "a\n", b"a"),
        lambda c: add(c, "x" * 201, b"a"),
        lambda c: add(c, "a", b"x" * 10_001),
        lambda c: retrieve(c, b"a", k=0),
        lambda c: retrieve(c, b"a", k="many"),
        lambda c: retrieve(c, b"a", k=1001),
        lambda c: retrieve(c, b"a", type="sound"),
    ],
)
def test_a_malformed_call_is_422(client, call):
    """Missing or wrong parameters, and bodies that are not text, are 422."""
    problem(call(client), 422, "invalid_request")


def test_a_body_that_is_no_picture_is_400(client):
    """An empty body is 400 too."""
    for body in (b"", b"abc"):
        problem(add(client, "a", body, type="image"), 400, "invalid_image")
