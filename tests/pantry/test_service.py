"""The whole service on a Firestore pantry: other clients' changes are recognised within a second."""

import time

import pytest

from tests.conftest import wait_until
from tests.fakes import as_base64, picture

MANY = 10_000


@pytest.fixture
def client(start, in_firestore):
    """A ready service over the colours red, green and blue, and a pantry in Firestore."""
    return start(pantry=in_firestore)


def seen(client, colour):
    """Return what the service recognises in a picture of this colour."""
    return client.post("/process-image", json={"image_data": as_base64(picture(colour))}).json()["item"]


def labels(client):
    return {each["label"]: each["sources"] for each in client.get("/labels").json()["labels"]}


def test_a_document_of_another_client_is_a_label_within_a_second(client, phone):
    """Added by a phone app it is recognised, changed it has its new count, deleted it is recognised no more."""
    assert seen(client, "yellow") != "yellow"
    phone.document("yellow").set({"count": 2})
    wait_until(lambda: labels(client).get("yellow") == ["pantry"])
    assert seen(client, "yellow") == "yellow"
    phone.document("yellow").update({"count": 5})
    wait_until(lambda: client.get("/pantry/yellow").json()["count"] == 5)
    phone.document("yellow").delete()
    wait_until(lambda: "yellow" not in labels(client))
    assert seen(client, "yellow") != "yellow"


def test_only_what_is_new_is_encoded(client, phone, encoder):
    """A new document costs its own prompts, a changed count none."""
    encoder.prompts_seen.clear()
    phone.document("yellow").set({"count": 2})
    wait_until(lambda: "yellow" in labels(client))
    phone.document("yellow").update({"count": 5})
    wait_until(lambda: client.get("/pantry/yellow").json()["count"] == 5)
    time.sleep(0.5)
    assert encoder.prompts_seen == ["a photo of yellow."]


def test_two_services_share_a_pantry(start, in_firestore):
    """A picture counted by one service is counted in the other."""
    one, other = start(pantry=in_firestore), start(pantry=in_firestore)
    body = {"image_data": as_base64(picture("red")), "pantry_update": {"operation": "add", "quantity": 2}}
    assert one.post("/process-image", json=body).json()["pantry"] == {"item": "red", "count": 2}
    assert other.post("/process-image", json=body).json()["pantry"] == {"item": "red", "count": 4}
    wait_until(lambda: one.get("/pantry/red").json()["count"] == 4)


def test_what_one_service_is_taught_the_other_knows(start, in_firestore):
    """An example taught in one service takes effect in the other, under a meaningless name; so does its removal."""
    one, other = start(pantry=in_firestore), start(pantry=in_firestore)
    for number, colour in enumerate(("yellow", "cyan", "magenta")):
        body = {"images": [as_base64(picture(colour))]}
        one.post(f"/pantry/thing {number}/examples", json=body).raise_for_status()
        wait_until(lambda: seen(other, colour) == f"thing {number}")  # noqa: B023 - asked before the next round
    other.delete("/pantry/thing 0/examples").raise_for_status()
    wait_until(lambda: seen(one, "yellow") != "thing 0")


def test_recognition_reads_nothing_from_firestore(client, phone):
    """Answers come from memory: with the connection closed, all reads go on."""
    phone.document("yellow").set({"count": 2})
    wait_until(lambda: "yellow" in labels(client))
    client.app.state.service.pantry.store._connection.close()
    assert seen(client, "yellow") == "yellow"
    assert client.get("/pantry").json() == {"items": [{"item": "yellow", "count": 2}]}


def test_ten_thousand_items(start, in_firestore, phone, encoder):
    """With 10,000 items in the pantry, another client's documents become labels, and only they are encoded."""
    for first in range(0, MANY, 500):
        batch = phone._client.batch()
        for number in range(first, first + 500):
            batch.set(phone.document(f"item {number}"), {"count": number})
        batch.commit()
    client = start(pantry=in_firestore)
    wait_until(lambda: len(labels(client)) == MANY + 3)
    encoder.prompts_seen.clear()
    for colour in ("yellow", "cyan", "magenta", "white"):
        phone.document(colour).set({"count": 1})
        wait_until(lambda: seen(client, colour) == colour)  # noqa: B023 - asked before the next round
    assert len(encoder.prompts_seen) == 4
