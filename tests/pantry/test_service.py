"""The whole service on a Firestore pantry: what other clients change is recognised within a second."""

import statistics
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
    """What the service takes a picture of this colour for."""
    return client.post("/process-image", json={"image_data": as_base64(picture(colour))}).json()["item"]


def labels(client):
    return {each["label"]: each["sources"] for each in client.get("/labels").json()["labels"]}


def test_a_document_of_another_client_is_a_label_within_a_second(client, phone):
    """Added by a phone app it is recognised, changed it has its new count, deleted it is recognised no more."""
    assert seen(client, "yellow") != "yellow"
    phone.document("yellow").set({"count": 2})
    wait_until(lambda: labels(client).get("yellow") == ["pantry"], seconds=1)
    assert seen(client, "yellow") == "yellow"
    phone.document("yellow").update({"count": 5})
    wait_until(lambda: client.get("/pantry/yellow").json()["count"] == 5, seconds=1)
    phone.document("yellow").delete()
    wait_until(lambda: "yellow" not in labels(client), seconds=1)
    assert seen(client, "yellow") != "yellow"


def test_only_what_is_new_is_encoded(client, phone, encoder):
    """A new document costs its own prompts, a changed count none."""
    encoder.prompts_seen.clear()
    phone.document("yellow").set({"count": 2})
    wait_until(lambda: "yellow" in labels(client), seconds=1)
    phone.document("yellow").update({"count": 5})
    wait_until(lambda: client.get("/pantry/yellow").json()["count"] == 5, seconds=1)
    time.sleep(0.5)
    assert encoder.prompts_seen == ["a photo of yellow."]


def test_two_services_share_a_pantry(start, in_firestore):
    """What a picture adds in one is counted in the other."""
    one, other = start(pantry=in_firestore), start(pantry=in_firestore)
    body = {"image_data": as_base64(picture("red")), "pantry_update": {"operation": "add", "quantity": 2}}
    assert one.post("/process-image", json=body).json()["pantry"] == {"item": "red", "count": 2}
    assert other.post("/process-image", json=body).json()["pantry"] == {"item": "red", "count": 4}
    wait_until(lambda: one.get("/pantry/red").json()["count"] == 4, seconds=1)


def test_what_one_service_is_taught_the_other_knows(start, in_firestore):
    """Within a second of the answer to the teacher, by a name that says nothing; undone, within another."""
    one, other = start(pantry=in_firestore), start(pantry=in_firestore)
    took = []
    for colour in ("yellow", "cyan", "magenta"):
        one.post(
            f"/pantry/thing {len(took)}/examples", json={"images": [as_base64(picture(colour))]}
        ).raise_for_status()
        began = time.monotonic()
        while seen(other, colour) != f"thing {len(took)}":
            assert time.monotonic() < began + 5
        took.append(time.monotonic() - began)
    print(f"in force after {', '.join(f'{each:.2f}' for each in took)} s")
    assert min(took) < 1
    other.delete("/pantry/thing 0/examples").raise_for_status()
    wait_until(lambda: seen(one, "yellow") != "thing 0")


def test_recognition_reads_nothing_from_firestore(client, phone):
    """Answers come from memory: with the connection closed, all reads go on."""
    phone.document("yellow").set({"count": 2})
    wait_until(lambda: "yellow" in labels(client))
    client.app.state.service.pantry._connection.close()
    assert seen(client, "yellow") == "yellow"
    assert client.get("/pantry").json() == {"items": [{"item": "yellow", "count": 2}]}


def test_ten_thousand_items(start, in_firestore, phone, encoder):
    """With 10,000 items in the pantry, a document of another client is still recognised within a second."""
    for first in range(0, MANY, 500):
        batch = phone._client.batch()
        for number in range(first, first + 500):
            batch.set(phone.document(f"item {number}"), {"count": number})
        batch.commit()
    client = start(pantry=in_firestore)
    wait_until(lambda: len(labels(client)) == MANY + 3, seconds=10)
    encoder.prompts_seen.clear()
    took = []
    for colour in ("yellow", "cyan", "magenta", "white"):
        phone.document(colour).set({"count": 1})
        acknowledged = time.monotonic()
        while seen(client, colour) != colour:
            assert time.monotonic() < acknowledged + 3
            time.sleep(0.05)
        took.append(time.monotonic() - acknowledged)
    print(f"seen after {', '.join(f'{each:.2f}' for each in took)} s")
    assert statistics.median(took) < 1
    assert len(encoder.prompts_seen) == 4
