"""The `/journal` calls, and the caller's name in the journal."""

from datetime import UTC, datetime

import pytest

from tests.api.test_metrics import samples
from tests.api.test_process_image import problem
from tests.fakes import as_base64, picture

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
ROBOT, PHONE = ({"X-API-Key": f"{letter * 16}"} for letter in "rp")
KEYS = f"robot:{'r' * 16},{'p' * 16}"


def entries(client, **options):
    """Return the journal, newest first."""
    return client.get("/journal", **options).json()["entries"]


def test_an_entry_says_what_who_and_when(start):
    """An entry has the key's name, the request's id, the counts before and after, and the time."""
    client, began = start(api_keys=KEYS), datetime.now(UTC)
    client.put("/pantry/rice", json={"count": 2}, headers=ROBOT | {"X-Request-ID": "one"})
    client.post("/pantry/rice/add", json={"quantity": 3}, headers=PHONE | {"X-Request-ID": "two"})
    added, put = entries(client, headers=ROBOT)
    assert began <= datetime.fromisoformat(put.pop("at")) <= datetime.fromisoformat(added["at"]) <= datetime.now(UTC)
    facts = {"action": "put", "item": "rice", "before": None, "after": 2, "undoes": None, "undone_by": None}
    assert put == facts | {"id": put["id"], "by": "robot", "request_id": "one"}
    assert (added["request_id"], added["before"], added["after"]) == ("two", 2, 5)
    assert added["by"].startswith("key-")


def test_a_recognition_that_counts_is_an_entry(client):
    """It has the request's id; without keys it has no name."""
    body = {"image_data": as_base64(picture()), "pantry_update": {"operation": "add", "quantity": 2}, "threshold": 0}
    response = client.post("/process-image", json=body)
    (entry,) = entries(client)
    assert (entry["action"], entry["before"], entry["after"], entry["by"]) == ("add", None, 2, None)
    assert (entry["item"], entry["request_id"]) == (response.json()["item"], response.headers["x-request-id"])


def test_a_change_is_undone_once(client):
    """The answer is the new entry; the second time it is 409 in the common error form."""
    client.post("/pantry/rice/add", json={"quantity": 3})
    (entry,) = entries(client)
    undo = client.post(f"/journal/{entry['id']}/undo")
    assert undo.status_code == 200
    assert undo.json() == entries(client)[0]
    assert (undo.json()["undoes"], undo.json()["after"]) == (entry["id"], None)
    message = problem(client.post(f"/journal/{entry['id']}/undo"), 409, "conflict")
    assert message == f"change {entry['id']} was undone before, by change {undo.json()['id']}"


def test_an_undo_sent_again_with_its_key_happens_once(client):
    """Both answers are the same; the key is invalid for another change."""
    client.post("/pantry/rice/add", json={"quantity": 3})
    client.post("/pantry/rice/add", json={"quantity": 1})
    newest, first = (f"/journal/{entry['id']}/undo" for entry in entries(client))
    answers = [client.post(newest, headers=KEY) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert "another request" in problem(client.post(first, headers=KEY), 422, "invalid_request")
    assert client.get("/pantry/rice").json()["count"] == 3


def test_an_undo_that_the_count_does_not_allow_says_why(client):
    """The count does not change."""
    client.put("/pantry/rice", json={"count": 1})
    client.post("/pantry/rice/add", json={"quantity": 3})
    id = entries(client)[0]["id"]
    client.put("/pantry/rice", json={"count": 2})
    response = client.post(f"/journal/{id}/undo")
    assert "it would take 3 'rice', and 2 are left" in problem(response, 409, "conflict")
    assert client.get("/pantry/rice").json()["count"] == 2


def test_the_journal_comes_by_page_and_by_item(client):
    """`cursor` returns the next page, and is null at the end."""
    for item in ("rice", "salt", "Rice"):
        client.post(f"/pantry/{item}/add")
    first = client.get("/journal?limit=2").json()
    second = client.get("/journal", params={"limit": 2, "cursor": first["cursor"]}).json()
    assert [each["item"] for each in first["entries"] + second["entries"]] == ["rice", "salt", "rice"]
    assert second["cursor"] is None
    assert [each["after"] for each in entries(client, params={"item": " RICE"})] == [2, 1]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "item=", "cursor=no", "cursor=" + "1" * 101])
def test_a_malformed_query_is_422(client, query):
    """Limits are from 1 to 1,000; a cursor is one that came with a page."""
    problem(client.get(f"/journal?{query}"), 422, "invalid_request")


def test_what_is_not_there_is_404(client, start):
    """An unknown change is 404, and without a pantry every change is."""
    assert "has no change '7'" in problem(client.post("/journal/7/undo"), 404, "not_found")
    without = start(pantry="none")
    for response in (without.get("/journal"), without.post("/journal/7/undo")):
        assert "LARDER_PANTRY=none" in problem(response, 404, "not_found")


def test_requests_are_counted_by_the_names_of_keys(start):
    """Only authorised requests are counted; beyond a hundred names the rest share one."""
    client = start(api_keys=KEYS)
    for headers in (ROBOT, ROBOT, {"X-API-Key": "wrong"}, {}):
        client.get("/labels", headers=headers)
    metrics = client.app.state.service.metrics
    for number in range(200):
        metrics.key(f"name{number}")
    metrics.key("robot")
    client.headers.update(ROBOT)
    found = samples(client)
    assert found["larder_key_requests_total", "robot"] == 4
    assert found["larder_key_requests_total", "name98"] == 1
    assert found["larder_key_requests_total", "other"] == 101
