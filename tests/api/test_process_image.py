"""`POST /process-image`: every documented field, limit and error."""

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from app.settings import Settings
from tests.conftest import wait_until
from tests.fakes import as_base64, as_bytes, picture
from tests.images.test_decode import bomb


def post(client, **body):
    return client.post("/process-image", json={"image_data": as_base64(picture("red"))} | body)


def problem(response, status: int, code: str) -> str:
    """Return the message of an error with this status and code, in the common form."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error", "detail"}
    assert set(body["error"]) == {"code", "message", "request_id"}
    assert body["error"]["code"] == code
    assert body["error"]["message"] == body["detail"]
    assert body["error"]["request_id"] == response.headers["x-request-id"]
    return body["detail"]


@pytest.mark.parametrize("colour", ["red", "green", "blue"])
def test_a_picture_is_what_it_shows(client, colour):
    """A red square is red, from HTTP to JSON, with all fields of the wire table."""
    answer = post(client, image_data=as_base64(picture(colour))).json()
    assert answer["item"] == colour
    assert (answer["message"], answer["confident"], answer["known"]) == (1, True, True)
    assert sorted(answer["top_k_items"]) == ["blue", "green", "red"]
    assert answer["top_k_items"][0] == colour
    assert answer["top_k_scores"] == sorted(answer["top_k_scores"], reverse=True)
    assert sum(answer["top_k_scores"]) == pytest.approx(1)
    assert answer["similarity_score"] == answer["top_k_probabilities"][0]
    assert answer["top_k_cosines"][0] == pytest.approx(1, abs=1e-3)
    assert (answer["label_count"], answer["model"], answer["pantry"]) == (3, "colours", None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIC", "AVIF"])
def test_every_accepted_format_is_read(client, kind):
    """JPEG, PNG, WebP, GIF, BMP, HEIC and AVIF, with or without a data: prefix."""
    text = as_base64(picture("blue"), kind)
    assert post(client, image_data=text).json()["item"] == "blue"
    assert post(client, image_data=f"data:image/{kind.lower()};base64,{text}").json()["item"] == "blue"


def test_top_k_cuts_the_lists(client):
    """`top_k` limits the number of labels, and the scores are renormalised among them."""
    two = post(client, top_k=2).json()
    assert [len(two[name]) for name in two if name.startswith("top_k")] == [2, 2, 2, 2]
    assert sum(two["top_k_scores"]) == pytest.approx(1)
    assert sum(two["top_k_probabilities"]) < 1
    assert len(post(client, top_k=1000).json()["top_k_items"]) == 3


def test_the_threshold_is_strict(client):
    """Confident means strictly above the threshold, so nothing is confident at 1."""
    halfway = as_base64(Image.new("RGB", (8, 8), (255, 255, 0)))  # between red and green
    answer = post(client, image_data=halfway).json()
    assert (answer["message"], answer["confident"]) == (0, False)
    assert answer["top_k_scores"][0] == pytest.approx(0.5, abs=0.01)
    assert post(client, image_data=halfway, threshold=0.4).json()["confident"] is True
    assert post(client, threshold=1).json()["confident"] is False


def test_a_picture_of_nothing_known_is_said_to_be(start):
    """`known` is false for a picture far from every label, by words alone too where nothing was fitted."""
    grey = as_base64(Image.new("RGB", (8, 8), (128, 128, 128)))
    assert post(start(), image_data=grey).json()["known"] is False
    client = start(known_margin=None)
    assert post(client, image_data=grey).json()["known"] is False
    assert post(client).json()["known"] is True


def test_the_calibrated_probability_has_a_temperature_of_its_own(start):
    """It is the best label's softmax over all labels with divided logits, and null where nothing was calibrated."""
    answer = post(start(), top_k=3).json()
    powers = np.exp(20 / 2 * np.array(answer["top_k_cosines"]))
    assert answer["calibrated_probability"] == pytest.approx(powers[0] / powers.sum(), abs=1e-5)
    assert answer["calibrated_probability"] < answer["similarity_score"]
    assert post(start(known_margin=None)).json()["calibrated_probability"] is None


def test_the_pantry_is_updated_when_the_answer_is_sure(client):
    """Add and remove change the recognised item's count, and the answer has the new one."""
    add, remove = {"operation": "add", "quantity": 3}, {"operation": "remove"}
    assert post(client, pantry_update=add).json()["pantry"] == {"item": "red", "count": 3}
    assert post(client, pantry_update=remove).json()["pantry"] == {"item": "red", "count": 2}
    assert client.get("/pantry/red").json() == {"item": "red", "count": 2}


def test_taking_what_is_not_there_leaves_0(client):
    """Removing a missing item is not an error, and does not create it."""
    assert post(client, pantry_update={"operation": "remove"}).json()["pantry"] == {"item": "red", "count": 0}
    assert client.get("/pantry").json() == {"items": []}


def test_an_update_sent_again_with_its_key_is_counted_once(client):
    """The picture is recognised again, but the pantry is changed once, and the answer is the same."""
    body = {"image_data": as_base64(picture("red")), "pantry_update": {"operation": "add", "quantity": 2}}
    first, again = (client.post("/process-image", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json()["pantry"] == {"item": "red", "count": 2}
    assert again.json() == first.json()
    assert client.get("/pantry/red").json()["count"] == 2
    other = body | {"image_data": as_base64(picture("blue"))}
    response = client.post("/process-image", json=other, headers={"Idempotency-Key": "k"})
    assert "another request before" in problem(response, 422, "invalid_request")
    assert client.get("/pantry").json() == {"items": [{"item": "red", "count": 2}]}


def test_the_first_answer_counts_even_if_the_labels_have_changed(client):
    """A repeated request still counts the first item, even if the picture is now recognised as another."""
    body = {"image_data": as_base64(picture("yellow")), "pantry_update": {"operation": "add"}, "threshold": 0.4}
    first = client.post("/process-image", json=body, headers={"Idempotency-Key": "k"}).json()["pantry"]
    client.put("/pantry/yellow", json={"count": 0})
    wait_until(lambda: post(client, image_data=body["image_data"]).json()["item"] == "yellow")
    assert client.post("/process-image", json=body, headers={"Idempotency-Key": "k"}).json()["pantry"] == first
    assert client.get("/pantry/yellow").json()["count"] == 0


def test_an_unsure_answer_leaves_the_pantry_alone(client):
    """An unconfident answer or an unknown picture changes no count, and the answer says which it was."""
    add = {"operation": "add"}
    answer = post(client, threshold=1, pantry_update=add).json()
    assert (answer["pantry"], answer["pantry_refused"][:31]) == (None, "the answer is not confident: 1.")
    grey = as_base64(Image.new("RGB", (8, 8), (128, 128, 128)))
    answer = post(client, image_data=grey, threshold=0, pantry_update=add).json()
    assert answer["pantry"] is None
    assert answer["pantry_refused"] == "the picture shows none of the labels (known: false)"
    assert "pantry_refused" not in post(client, image_data=grey, threshold=0).json()
    assert client.get("/pantry").json() == {"items": []}


def test_the_older_rule_counts_what_is_not_known(start):
    """With LARDER_UPDATE_UNKNOWN a confident answer is counted, and `known` is still reported."""
    grey = as_base64(Image.new("RGB", (8, 8), (128, 128, 128)))
    client = start(update_unknown=True)
    answer = post(client, image_data=grey, threshold=0, pantry_update={"operation": "add"}).json()
    assert (answer["known"], answer["pantry"]["count"]) == (False, 1)


def test_an_update_without_a_pantry_is_an_error(start):
    """A service without a pantry answers with an error instead of ignoring the update."""
    response = post(start(pantry="none"), pantry_update={"operation": "add"})
    assert "LARDER_PANTRY=none" in problem(response, 404, "not_found")


def test_a_pantry_that_is_away_is_an_error(client):
    """A count that cannot be stored is refused with 503 and Retry-After."""
    client.app.state.service.pantry.store._file.writer.execute("DROP TABLE items")
    response = post(client, pantry_update={"operation": "add"})
    problem(response, 503, "store_unavailable")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"image_data": ""}, "image_data"),
        ({"image_data": 5}, "image_data"),
        ({"image_data": None}, "image_data"),
        ({"image_data": ["x"]}, "image_data"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 1001}, "top_k"),
        ({"top_k": "5"}, "top_k"),
        ({"top_k": 2.5}, "top_k"),
        ({"top_k": True}, "top_k"),
        ({"top_k": 10**30}, "top_k"),
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": 1.1}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"pantry_update": "add"}, "pantry_update"),
        ({"pantry_update": {}}, "pantry_update.operation"),
        ({"pantry_update": {"operation": "eat"}}, "pantry_update.operation"),
        ({"pantry_update": {"operation": "add", "quantity": 0}}, "pantry_update.quantity"),
        ({"pantry_update": {"operation": "add", "quantity": 10**10}}, "pantry_update.quantity"),
        ({"pantry_update": {"operation": "add", "item": "red"}}, "pantry_update.item"),
        ({"labels": ["red"]}, "labels"),
        ({"\ud800": 1}, "unicode"),
    ],
)
def test_a_malformed_request_names_the_field(client, body, message):
    """Wrong types, ranges and unknown fields are 422, and the message names the field."""
    content = json.dumps({"image_data": as_base64(picture())} | body)
    response = client.post("/process-image", content=content, headers={"content-type": "application/json"})
    assert message in problem(response, 422, "invalid_request")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"image_data": "YQ==", "top_k": ' + b"9" * 5000 + b"}",
        b'{"image_data": "YQ==", "threshold": NaN}',
        b'{"image_data": "YQ==", "threshold": 1e999}',
    ],
    ids=["empty", "cut", "list", "null", "string", "not UTF-8", "deep", "long number", "NaN", "infinite"],
)
def test_what_is_no_json_object_is_malformed(client, content):
    """Broken, deep and absurd JSON is 422, never a 500."""
    response = client.post("/process-image", content=content, headers={"content-type": "application/json"})
    problem(response, 422, "invalid_request")


@pytest.mark.parametrize(("body", "found"), [({}, "no field"), ({"image_dat": "YQ==", "top_k": 3}, "image_dat, top_k")])
def test_a_missing_picture_is_named(client, body, found):
    """A request without a picture is an error that names both fields, also for a misspelt one."""
    message = problem(client.post("/process-image", json=body), 422, "invalid_request")
    assert message == f"the body: one of image_data, image_url, images is needed; found: {found}"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ("not base64!", 400, "invalid_image"),
        (base64.b64encode(b"not a picture").decode(), 400, "invalid_image"),
        (base64.b64encode(as_bytes(picture(size=(99, 99)), "JPEG")[:-300]).decode(), 400, "invalid_image"),
        (as_base64(picture(), "TIFF"), 415, "unsupported_image"),
        (base64.b64encode(bomb(8000, 8000)).decode(), 413, "image_too_large"),
    ],
    ids=["not base64", "not a picture", "truncated", "another format", "too many pixels"],
)
def test_a_bad_picture_is_a_clear_error(client, data, status, code):
    """Each way in which a picture can be bad has its status and code, and the next request is answered."""
    problem(post(client, image_data=data), status, code)
    assert post(client).json()["item"] == "red"


def test_too_many_bytes_are_refused(start):
    """A body above the limit is 413, whether its length is declared or it comes in pieces."""
    client = start(max_body=10_000)
    problem(post(client, image_data="A" * 10_000), 413, "image_too_large")

    def pieces():
        for _ in range(20):
            yield b" " * 1000

    problem(client.post("/process-image", content=pieces()), 413, "image_too_large")
    assert post(client).json()["item"] == "red"


def test_no_labels_at_all_is_said(start, settings):
    """Without labels and items the error says what to do."""
    settings.labels.write_text("# none\n")
    client = start()
    assert "add lines to the label file" in problem(post(client), 422, "invalid_labels")
    client.put("/pantry/green", json={"count": 1})
    wait_until(lambda: post(client).status_code == 200)
    assert post(client).json()["confident"] is False


def test_while_starting_it_is_refused(start, encoder):
    """Before the labels are encoded the answer is 503 and Retry-After."""
    client = start(ready=True)
    service = client.app.state.service
    service.recogniser._labels = SimpleNamespace(current=None)  # as a vocabulary is before its first labels
    response = post(client)
    problem(response, 503, "starting")
    assert response.headers["retry-after"] == "1"


def test_when_the_queue_is_full_it_is_refused(start, encoder):
    """With as many in progress as allowed, one more is 503 and Retry-After at once; the others are answered."""
    from concurrent.futures import ThreadPoolExecutor

    client = start(max_queue=2)
    pipeline = client.app.state.service.pipeline
    encoder.open.clear()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(post, client) for _ in range(2)]
        wait_until(lambda: pipeline.in_hand == 2)
        response = post(client)
        encoder.open.set()
        assert [each.result().status_code for each in waiting] == [200, 200]
    problem(response, 503, "overloaded")
    assert response.headers["retry-after"] == "1"


def test_an_internal_error_says_nothing_of_the_inside(capfd, client, encoder):
    """A broken engine is 500 with a generic text; the log has the traceback under the request's id."""
    encoder.failure = RuntimeError("secret path /etc/larder")
    response = client.post(
        "/process-image", json={"image_data": as_base64(picture())}, headers={"x-request-id": "me-1"}
    )
    message = problem(response, 500, "internal_error")
    assert "secret" not in message
    assert response.json()["error"]["request_id"] == "me-1"
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    logged = [line for line in lines if line["event"] == "internal error"]
    assert logged[0]["request_id"] == "me-1"
    assert "secret path" in logged[0]["exception"]
    encoder.failure = None
    assert post(client).status_code == 200


def test_the_settings_of_the_limits_are_used(start):
    """Formats and pixels are limited by the settings."""
    client = start(max_pixels=100, formats="PNG")
    problem(post(client), 413, "image_too_large")
    small = as_base64(picture(size=(10, 10)), "JPEG")
    problem(post(client, image_data=small), 415, "unsupported_image")
    assert Settings().max_pixels == 50_000_000


@pytest.mark.parametrize("item", ["azure blue", "blue", "AZURE  Blue"])
def test_the_item_that_the_pantry_has_for_a_label_is_counted(client, item):
    """The label file calls it blue; the pantry may have it by a synonym, which is what is changed and answered."""
    name = client.put(f"/pantry/{item}", json={"count": 5}).json()["item"]
    wait_until(lambda: client.get("/labels").json()["labels"][2]["sources"] == ["file", "pantry"])
    blue = as_base64(picture("blue"))
    for operation, count in (("remove", 4), ("add", 5)):
        answer = post(client, image_data=blue, pantry_update={"operation": operation}).json()
        assert (answer["item"], answer["pantry"]) == ("blue", {"item": name, "count": count})
    assert answer.get("pantry_item") == (name if name != "blue" else None)
    more = (
        {"images": [blue, blue]},
        {"image_data": blue, "tiles": "auto"},
        {"image_data": blue, "regions": [[0, 0, 9, 9]]},
    )
    for body in more:
        client.post("/process-image", json=body | {"pantry_update": {"operation": "add"}})
    assert [each["item"] for each in client.get("/pantry").json()["items"]] == [name]
    assert client.get(f"/pantry/{item}").json()["count"] > 7


def test_another_spelling_of_a_label_is_no_rival(client):
    """Full-width letters, which the model does not distinguish, do not lower the confidence."""
    before = post(client).json()
    assert client.put("/pantry/ｒｅｄ", json={"count": 1}).json()["item"] == "red"
    wait_until(lambda: client.get("/labels").json()["labels"][0]["sources"] == ["file", "pantry"])
    after = post(client).json()
    assert (after["label_count"], after["similarity_score"]) == (before["label_count"], before["similarity_score"])
