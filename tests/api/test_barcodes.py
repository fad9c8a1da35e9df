"""Barcodes: assigned to items by calls and by feedback, read in pictures, and compared with the recognised label."""

import base64
import io

import pytest
from PIL import Image

from harness.packages import OATS, RICE, package, symbol
from tests.api.test_metrics import samples
from tests.api.test_process_image import problem
from tests.conftest import wait_until
from tests.fakes import COLOURS

QR = "https://example.org/rice?lot=1"


def shown(colour="red", *codes, side=800):
    """Return a PNG of a one-coloured package with barcodes on it."""
    picture = Image.new("RGB", (side, side), COLOURS[colour])
    for place, code in enumerate(codes):
        written = symbol(code, "EAN13" if code.isdigit() else "QRCode", scale=2)
        picture.paste(written, (40, 40 + 200 * place))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def ask(client, picture, *, update=None, request_id="r1", **more):
    """Recognise a picture with its barcodes."""
    body = {"image_data": base64.b64encode(picture).decode(), "barcodes": True, "threshold": 0.3} | more
    if update:
        body["pantry_update"] = {"operation": update}
    return client.post("/process-image", json=body, headers={"X-Request-ID": request_id})


def tie(client, code, item):
    response = client.put(f"/barcodes/{code}", json={"item": item})
    assert response.status_code == 200, response.text
    return response.json()


def items(client):
    return {each["item"]: each["count"] for each in client.get("/pantry").json()["items"]}


def test_a_code_is_tied_listed_and_untied(client):
    """All of this works for every form of a code, and for all characters of a QR code."""
    assert tie(client, "036000291452", "Paper  Towels") == {"code": "0036000291452", "item": "paper towels"}
    assert (
        client.put("/barcodes/https%3A%2F%2Fexample.org%2Frice%3Flot%3D1", json={"item": "rice"}).json()["code"] == QR
    )
    assert client.get("/barcodes/0036000291452").json() == client.get("/barcodes/036000291452").json()
    listed = client.get("/barcodes?limit=1").json()
    rest = client.get("/barcodes", params={"limit": 1, "cursor": listed["cursor"]}).json()
    assert [each["code"] for each in listed["barcodes"] + rest["barcodes"]] == ["0036000291452", QR]
    assert rest["cursor"] is None
    assert client.delete("/barcodes/036000291452").json() == {"code": "0036000291452"}
    for response in (client.get("/barcodes/036000291452"), client.delete("/barcodes/036000291452")):
        assert "is tied to no item" in problem(response, 404, "not_found")
    assert items(client) == {}


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("4006381333932", {"item": "rice"}),
        ("x" * 501, {"item": "rice"}),
        ("a%07b", {"item": "rice"}),
        (RICE, {}),
        (RICE, {"item": " "}),
        (RICE, {"item": "half/half"}),
        (RICE, {"item": "rice", "count": 1}),
    ],
)
def test_what_is_no_code_or_no_item_is_422(client, code, body):
    """Nothing is assigned."""
    problem(client.put(f"/barcodes/{code}", json=body), 422, "invalid_request")
    assert client.get("/barcodes").json() == {"barcodes": [], "cursor": None}


def test_codes_are_read_where_they_are_asked_for(client):
    """Codes have their format and box; an unassigned code does not affect the answer."""
    picture = shown("red", RICE, QR)
    without = ask(client, picture, barcodes=False).json()
    assert not {"barcodes", "evidence", "disagreement"} & set(without)
    answer = ask(client, picture).json()
    assert [(each["code"], each["format"], each["item"]) for each in answer["barcodes"]] == [
        (RICE, "ean_13", None),
        (QR, "qr_code", None),
    ]
    (left, top, right, bottom), _ = (each["box"] for each in answer["barcodes"])
    assert 40 <= left < right <= 300
    assert 40 <= top < bottom <= 200
    assert answer["evidence"] == "picture"
    assert "disagreement" not in answer
    assert answer["item"] == without["item"]
    assert ask(client, shown("red")).json()["barcodes"] == []


@pytest.mark.parametrize("way", ["json", "raw", "multipart"])
def test_codes_are_read_however_a_picture_is_sent(client, way):
    """The field is a query parameter of a raw picture, and a form field in a form."""
    picture = shown("red", RICE)
    if way == "json":
        response = ask(client, picture)
    elif way == "raw":
        headers = {"Content-Type": "image/png"}
        response = client.post("/process-image?barcodes=true", content=picture, headers=headers)
    else:
        response = client.post("/process-image", files={"image": picture}, data={"barcodes": "true"})
    assert [each["code"] for each in response.json()["barcodes"]] == [RICE]


@pytest.mark.parametrize("turned", [0, 30, 45, 90, 160])
def test_a_known_code_decides_the_item(client, turned):
    """A rotated code also decides, for a sure or unsure picture; it is counted, and the scores stay the picture's."""
    tie(client, RICE, "basmati rice")
    file = io.BytesIO()
    package(symbol(RICE), turned=turned, colour=(120, 120, 120)).save(file, "PNG")
    plain = ask(client, file.getvalue(), barcodes=False, threshold=0.99).json()
    answer = ask(client, file.getvalue(), update="add", threshold=0.99).json()
    assert plain["confident"] is False
    assert (answer["item"], answer["evidence"]) == ("basmati rice", "barcode")
    assert answer["pantry"] == {"item": "basmati rice", "count": 1}
    for field in ("confident", "similarity_score", "top_k_items", "top_k_scores", "known"):
        assert answer[field] == plain[field]


def test_a_code_of_a_label_answers_with_the_label(client):
    """If code and picture agree, the item is counted once."""
    tie(client, RICE, "Red")
    answer = ask(client, shown("red", RICE), update="add").json()
    assert (answer["item"], answer["evidence"], answer["confident"]) == ("red", "barcode", True)
    assert "disagreement" not in answer
    assert items(client) == {"red": 1}


def test_a_sure_picture_of_something_else_is_not_counted(client):
    """The answer says that code and picture disagree, and why nothing was counted."""
    tie(client, RICE, "rice")
    answer = ask(client, shown("red", RICE), update="add").json()
    assert answer["disagreement"] == "the barcode stands for 'rice', and the image shows 'red'"
    assert answer["pantry_refused"] == answer["disagreement"]
    assert (answer["item"], answer["evidence"], answer["pantry"]) == ("rice", "barcode", None)
    assert items(client) == {}
    assert "pantry_refused" not in ask(client, shown("red", RICE)).json()


def test_two_codes_of_different_items_decide_nothing(client):
    """Nothing is counted, even if the picture alone is sure; two codes of one item count as one."""
    tie(client, RICE, "red")
    tie(client, OATS, "oats")
    answer = ask(client, shown("red", RICE, OATS), update="add").json()
    assert answer["disagreement"] == "the barcodes stand for different items: 'red' and 'oats'"
    assert answer["pantry_refused"] == answer["disagreement"]
    assert (answer["item"], answer["evidence"], answer["pantry"]) == ("red", "picture", None)
    tie(client, OATS, "red")
    assert ask(client, shown("red", RICE, OATS), update="add").json()["pantry"] == {"item": "red", "count": 1}


def test_a_request_sent_again_with_its_key_counts_once(client):
    """A repeated request with the same idempotency key counts once, like any other change."""
    tie(client, RICE, "red")
    body = {"image_data": base64.b64encode(shown("red", RICE)).decode(), "barcodes": True, "threshold": 0.3}
    body |= {"pantry_update": {"operation": "add"}}
    answers = [client.post("/process-image", json=body, headers={"Idempotency-Key": "k"}).json() for _ in range(2)]
    assert [each["pantry"]["count"] for each in answers] == [1, 1]


@pytest.mark.parametrize("more", [{"tiles": "auto"}, {"regions": [[0, 0, 9, 9]]}])
def test_codes_are_read_in_one_picture_alone(client, more):
    """With regions, tiles or frames the request is rejected with a message."""
    assert "without images, regions and tiles" in problem(ask(client, shown(), **more), 422, "invalid_request")


def test_feedback_ties_a_code(client):
    """On request feedback assigns the code, which then decides even if the picture shows something else."""
    assert ask(client, shown("red", RICE), threshold=0.99, request_id="r1").json()["evidence"] == "picture"
    said = client.post("/feedback", json={"request_id": "r1", "item": "Basmati Rice", "tie_barcode": True})
    assert said.json()["tied"] == RICE
    assert client.get(f"/barcodes/{RICE}").json()["item"] == "basmati rice"
    answer = ask(client, shown("white", RICE), threshold=0.99, request_id="r2").json()
    assert (answer["item"], answer["evidence"]) == ("basmati rice", "barcode")
    said = client.post("/feedback", json={"request_id": "r2", "item": "basmati rice"}).json()
    assert said["right"] is True
    assert "tied" not in said


def test_feedback_ties_the_article_number_beside_a_qr_code(client):
    """Other codes of a package are ignored."""
    ask(client, shown("red", QR, RICE))
    assert (
        client.post("/feedback", json={"request_id": "r1", "item": "rice", "tie_barcode": True}).json()["tied"] == RICE
    )
    ask(client, shown("red", QR.replace("1", "2")), request_id="r2")
    said = client.post("/feedback", json={"request_id": "r2", "item": "rice", "tie_barcode": True})
    assert said.json()["tied"] == QR.replace("1", "2")


@pytest.mark.parametrize("codes", [(), (RICE, OATS), (QR, QR.replace("1", "2"))])
def test_feedback_ties_no_code_where_it_is_not_clear_which(client, codes):
    """Without a code, or with several, the error says what is needed, and the feedback is not stored."""
    ask(client, shown("red", *codes))
    response = client.post("/feedback", json={"request_id": "r1", "item": "rice", "tie_barcode": True, "teach": True})
    assert "has no barcode to tie" in problem(response, 422, "invalid_request")
    assert client.get("/barcodes").json()["barcodes"] == []
    assert items(client) == {}


def test_feedback_ties_no_code_that_is_tied_already(client):
    """Reassigning a code takes `PUT /barcodes/{code}`."""
    tie(client, RICE, "rice")
    ask(client, shown("white", RICE), threshold=0.99)
    response = client.post("/feedback", json={"request_id": "r1", "item": "oats", "tie_barcode": True})
    problem(response, 422, "invalid_request")
    assert client.get(f"/barcodes/{RICE}").json()["item"] == "rice"


def test_without_a_pantry_codes_are_read_and_none_is_tied(start):
    """The answer has the codes, and the picture decides."""
    client = start(pantry="none")
    answer = ask(client, shown("red", RICE)).json()
    assert [(each["code"], each["item"]) for each in answer["barcodes"]] == [(RICE, None)]
    assert client.get("/barcodes").json()["barcodes"] == []
    for response in (client.put(f"/barcodes/{RICE}", json={"item": "rice"}), client.delete(f"/barcodes/{RICE}")):
        assert "LARDER_PANTRY=none" in problem(response, 404, "not_found")


def test_reading_codes_is_timed_as_a_stage(client):
    """The stage is timed only if the request asks for barcodes."""
    ask(client, shown("red", RICE), barcodes=False)
    assert ("larder_stage_seconds_count", "barcodes") not in samples(client)
    ask(client, shown("red", RICE))
    found = samples(client)
    assert found["larder_stage_seconds_count", "barcodes"] == 1
    assert found["larder_stage_seconds_count", "decode"] == 2


def test_a_counted_code_is_in_the_journal(client):
    """A count by barcode has a journal entry like any recognition."""
    tie(client, RICE, "rice")
    ask(client, shown("white", RICE), update="add", threshold=0.99, request_id="scan-1")
    (entry,) = client.get("/journal").json()["entries"]
    assert (entry["item"], entry["action"], entry["request_id"]) == ("rice", "add", "scan-1")
    wait_until(lambda: "rice" in {each["label"] for each in client.get("/labels").json()["labels"]})
