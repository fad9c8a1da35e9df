"""`POST /process-image` with several things in one picture."""

import pytest
from PIL import Image

from tests.conftest import wait_until
from tests.fakes import as_base64, picture

COLOURS = [["red", "green"], ["blue", "red"]]


def shelf(rows=COLOURS, side=64):
    """Squares of these colours, row by row."""
    whole = Image.new("RGB", (side * len(rows[0]), side * len(rows)))
    for top, row in enumerate(rows):
        for left, colour in enumerate(row):
            whole.paste(picture(colour, (side, side)), (side * left, side * top))
    return whole


def ask(client, image, headers=None, **more):
    return client.post("/process-image", json={"image_data": as_base64(image)} | more, headers=headers)


def test_each_box_is_answered_on_its_own(client):
    """Each box has all fields of a picture, in the order of the request."""
    boxes = [[0, 0, 64, 64], [64, 0, 128, 64], [0, 64, 64, 128]]
    answer = ask(client, shelf(), regions=boxes, top_k=2).json()
    assert [each["item"] for each in answer["regions"]] == ["red", "green", "blue"]
    assert [each["box"] for each in answer["regions"]] == boxes
    alone = ask(client, picture("green"), top_k=2).json()
    green = answer["regions"][1]
    assert {name: green[name] for name in ("top_k_items", "confident", "known")} == {
        name: alone[name] for name in ("top_k_items", "confident", "known")
    }
    assert green["top_k_cosines"] == pytest.approx(alone["top_k_cosines"], abs=1e-5)
    assert answer["pantry"] is None


def test_boxes_are_of_the_upright_picture(client):
    """Boxes refer to the picture after the EXIF orientation is applied."""
    sideways = shelf([["red", "green"]]).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    import base64
    import io

    file = io.BytesIO()
    sideways.save(file, "JPEG", quality=95, exif=exif)
    body = {"image_data": base64.b64encode(file.getvalue()).decode(), "regions": [[0, 0, 64, 64], [64, 0, 128, 64]]}
    answer = client.post("/process-image", json=body).json()
    assert [each["item"] for each in answer["regions"]] == ["red", "green"]


def test_boxes_that_show_the_same_are_counted_together(client):
    """Each item changes once for all of its boxes, and every box has the count afterwards."""
    boxes = [[0, 0, 64, 64], [64, 0, 128, 64], [64, 64, 128, 128]]
    answer = ask(client, shelf(), regions=boxes, pantry_update={"operation": "add", "quantity": 3}).json()
    assert [each["pantry"]["count"] for each in answer["regions"]] == [6, 3, 6]
    assert client.get("/pantry").json()["items"] == [{"item": "green", "count": 3}, {"item": "red", "count": 6}]


def test_a_label_that_can_be_no_item_is_not_counted(client, settings):
    """It is answered without a count but with the reason, and the others in the list are counted."""
    settings.labels.write_text("red\ngreen / leaf\nblue\n")
    wait_until(lambda: ask(client, picture("green")).json()["item"] == "green / leaf")
    boxes = [[0, 0, 64, 64], [64, 0, 128, 64]]
    answer = ask(client, shelf(), regions=boxes, pantry_update={"operation": "add"}).json()
    assert [each["pantry"] for each in answer["regions"]] == [{"item": "red", "count": 1}, None]
    assert [each.get("pantry_refused", "")[:32] for each in answer["regions"]] == [
        "",
        "invalid item name 'green / leaf'",
    ]
    assert client.get("/pantry").json()["items"] == [{"item": "red", "count": 1}]
    found = ask(client, shelf([["red", "green"]]), tiles="auto", pantry_update={"operation": "add"}).json()["items"]
    counted = {each["item"]: (each["pantry"], "pantry_refused" in each) for each in found}
    assert counted == {"red": ({"item": "red", "count": 2}, False), "green / leaf": (None, True)}
    alone = ask(client, picture("green"), pantry_update={"operation": "add"}).json()
    assert (alone["item"], alone["pantry"]) == ("green / leaf", None)
    assert "U+002F SOLIDUS" in alone["pantry_refused"]


@pytest.mark.parametrize("more", [{"regions": [[0, 0, 64, 64], [64, 0, 128, 64]]}, {"tiles": "auto"}], ids=str)
def test_a_list_that_is_sent_again_is_counted_once(client, more):
    """The request's one key covers all of its changes."""
    update = {"operation": "add", "quantity": 1}
    for _ in range(2):
        ask(client, shelf([["red", "green"]]), {"Idempotency-Key": "k"}, pantry_update=update, **more)
    assert client.get("/pantry").json()["items"] == [{"item": "green", "count": 1}, {"item": "red", "count": 1}]


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([0, 0, 129, 10], "128 wide"),
        ([0, 0, 10, 129], "128 high"),
        ([10, 0, 10, 10], "left < right"),
        ([0, 20, 10, 10], "top < bottom"),
        ([-1, 0, 10, 10], "0 <= left"),
        ([0, 0, 10], "at least 4"),
        ([0, 0, 10, 10, 10], "at most 4"),
        ([0, 0, 10.5, 10], "integer"),
        ([0, 0, 10**30, 10], "less than"),
    ],
)
def test_a_box_that_is_none_is_refused(client, box, said):
    """The message says which box, and why."""
    answer = ask(client, shelf(), regions=[[0, 0, 5, 5], box])
    assert answer.status_code == 422
    assert "regions.1" in answer.json()["detail"]
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "more",
    [
        {"regions": []},
        {"regions": [[0, 0, 5, 5]] * 33},
        {"tiles": "all"},
        {"tiles": "auto", "regions": [[0, 0, 5, 5]]},
    ],
    ids=str,
)
def test_a_request_without_the_right_form_is_refused(client, more):
    """It takes 1 to 32 boxes, or tiles, and not both."""
    assert ask(client, shelf(), **more).status_code == 422


def test_a_shelf_is_searched(start):
    """The answer has the items found, their counts and boxes."""
    client = start(known_margin=0.75)  # a mixture of colours is nothing known
    answer = ask(client, shelf(), tiles="auto", pantry_update={"operation": "add", "quantity": 1}).json()
    found = {each["item"]: each for each in answer["items"]}
    assert {item: each["count"] for item, each in found.items()} == {"red": 2, "green": 1, "blue": 1}
    assert {item: each["pantry"]["count"] for item, each in found.items()} == {"red": 2, "green": 1, "blue": 1}
    left, top, right, bottom = found["green"]["boxes"][0]
    assert 64 - 22 <= left < right <= 128
    assert 0 <= top < bottom <= 64 + 22
    assert len(found["red"]["boxes"]) == len(found["red"]["probabilities"]) == 2


def test_an_empty_shelf_has_nothing_on_it(client):
    """If no tile is known the list is empty, and nothing changes."""
    answer = ask(client, Image.new("RGB", (128, 128), (128, 128, 128)), tiles="auto").json()
    assert answer["items"] == []


def test_other_answers_say_nothing_of_lists(client):
    """The answer to a request without regions is unchanged."""
    assert not {"regions", "items", "frames"} & ask(client, shelf()).json().keys()
