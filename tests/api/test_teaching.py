"""Teaching an item by pictures of it."""

import numpy as np
import pytest

from tests.conftest import wait_until
from tests.fakes import as_base64, picture


def teach(client, item, *colours):
    """Teach an item by pictures of these colours."""
    body = {"images": [as_base64(picture(colour)) for colour in colours]}
    return client.post(f"/pantry/{item}/examples", json=body)


def seen(client, colour):
    """Return what the service recognises in a picture of this colour."""
    return client.post("/process-image", json={"image_data": as_base64(picture(colour))}).json()["item"]


def examples(client, item):
    return client.get(f"/pantry/{item}/examples").json()["examples"]


def test_a_taught_item_is_recognised(client):
    """With a name unknown to the model, one picture is enough within a second."""
    assert seen(client, "yellow") != "quince"
    answer = teach(client, "Quince", "yellow").json()
    assert (answer["item"], answer["model"], len(answer["examples"])) == ("quince", "colours", 1)
    wait_until(lambda: seen(client, "yellow") == "quince")
    assert [seen(client, colour) for colour in ("red", "green", "blue")] == ["red", "green", "blue"]


def test_teaching_puts_the_item_into_the_pantry(client):
    """The item has count 0, so that it is a label and can be counted."""
    teach(client, "quince", "yellow")
    assert client.get("/pantry/quince").json() == {"item": "quince", "count": 0}


def test_teaching_is_undone(client):
    """After one or all examples are deleted, everything is as before except for the item."""
    before = client.get("/labels").json()["version"]
    client.put("/pantry/quince", json={"count": 0})
    wait_until(lambda: client.get("/labels").json()["version"] != before)
    before = client.get("/labels").json()["version"]
    ids = [each["id"] for each in teach(client, "quince", "yellow", "black").json()["examples"]]
    wait_until(lambda: client.get("/labels").json()["version"] != before)
    assert client.delete(f"/pantry/quince/examples/{ids[1]}").json() == {"item": "quince", "deleted": 1}
    assert [each["id"] for each in examples(client, "quince")] == ids[:1]
    wait_until(lambda: seen(client, "yellow") == "quince")
    assert client.delete("/pantry/quince/examples").json() == {"item": "quince", "deleted": 1}
    wait_until(lambda: seen(client, "yellow") != "quince")
    wait_until(lambda: client.get("/labels").json()["version"] == before)


def test_the_version_of_the_labels_tells_of_examples(client):
    """The version changes with the examples, so that a cached answer expires."""
    client.put("/pantry/red", json={"count": 1})
    before = client.get("/labels").json()["version"]
    teach(client, "red", "yellow")
    wait_until(lambda: client.get("/labels").json()["version"] != before)


def test_examples_of_a_label_do_not_push_its_text_aside(client):
    """A picture that matches the label's name is still recognised when the label has examples."""
    teach(client, "red", "yellow")
    wait_until(lambda: seen(client, "yellow") == "red")
    assert seen(client, "red") == "red"


def test_a_near_duplicate_is_pointed_out(client):
    """Of two nearly equal pictures the later one has the warning, in the answer and afterwards."""
    shade = picture("yellow")
    shade.putpixel((16, 12), (0, 0, 0))
    first = teach(client, "quince", "yellow").json()["examples"][0]
    body = {"images": [as_base64(shade), as_base64(picture("cyan"))]}
    second = client.post("/pantry/quince/examples", json=body).json()["examples"]
    assert first["near_duplicate_of"] is None
    assert [each["near_duplicate_of"] for each in second] == [first["id"], None]
    assert [each["near_duplicate_of"] for each in examples(client, "quince")] == [None, first["id"], None]


def test_an_example_that_looks_like_another_item_is_pointed_out(client):
    """An example nearer to another item's examples is reported, and still stored."""
    teach(client, "quince", "yellow")
    answer = teach(client, "sky", "cyan", "white", "yellow").json()["examples"]
    assert [each["contradicts"] for each in answer] == [None, None, "quince"]
    assert len(examples(client, "sky")) == 3


def test_an_example_that_is_surely_another_label_is_pointed_out(client):
    """The service was sure that the picture shows something else."""
    assert [each["contradicts"] for each in teach(client, "quince", "red").json()["examples"]] == ["red"]
    assert [each["contradicts"] for each in teach(client, "green", "green").json()["examples"]] == [None]


def test_examples_of_another_model_are_kept_but_not_used(client):
    """Their vectors are only valid for their own model."""
    from app.pantry.examples import new_example

    store = client.app.state.service.pantry.store
    store.teach("quince", [new_example("quince", "another", np.float32([1, 1, 0, 0]) / 2**0.5)])
    assert [each["used"] for each in examples(client, "quince")] == [False]
    wait_until(lambda: any(each["label"] == "quince" for each in client.get("/labels").json()["labels"]))
    assert seen(client, "yellow") != "quince"


@pytest.mark.parametrize("images", [[], ["x"] * 33, [""], "x", None])
def test_a_request_without_the_right_form_is_refused(client, images):
    """It takes 1 to 32 pictures; otherwise nothing is taught."""
    answer = client.post("/pantry/quince/examples", json={"images": images})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert client.get("/pantry").json()["items"] == []


def test_one_broken_picture_and_nothing_is_taught(client):
    """Either all pictures are taught or none."""
    answer = client.post("/pantry/quince/examples", json={"images": [as_base64(picture()), "AAAA"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_image")
    assert client.get("/pantry").json()["items"] == []


def test_what_is_not_there_is_not_found(client):
    """A missing item and a missing example are 404."""
    teach(client, "quince", "yellow")
    for path in ("/pantry/no/examples", "/pantry/no/examples/x", "/pantry/quince/examples/x"):
        assert client.delete(path).status_code == 404
    assert client.get("/pantry/no/examples").status_code == 404


def test_a_deleted_item_forgets(client):
    """An item that is deleted and created again has no examples."""
    teach(client, "quince", "yellow")
    client.delete("/pantry/quince")
    client.put("/pantry/quince", json={"count": 1})
    assert examples(client, "quince") == []


def test_without_a_pantry_there_is_no_teaching(start):
    """The answer says why."""
    answer = teach(start(pantry="none"), "quince", "yellow")
    assert (answer.status_code, "LARDER_PANTRY=none" in answer.json()["detail"]) == (404, True)


def test_examples_are_listed_under_any_spelling_of_the_item(client):
    """The answer has the item's name in the pantry."""
    teach(client, "weißwurst", "yellow")
    answer = client.get("/pantry/WEISSWURST/examples").json()
    assert (answer["item"], len(answer["examples"])) == ("weißwurst", 1)
