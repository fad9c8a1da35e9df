"""`POST /process-image` with several frames of one thing."""

import pytest

from tests.fakes import as_base64, picture


def frames(client, *colours, **more):
    """Recognise frames of these colours together."""
    images = [as_base64(picture(colour)) for colour in colours]
    return client.post("/process-image", json={"images": images} | more)


def test_frames_of_one_thing_are_one_answer(client):
    """The answer has all fields of a single picture, and the agreement of the frames."""
    one = client.post("/process-image", json={"image_data": as_base64(picture("red"))}).json()
    answer = frames(client, "red", "red", "red").json()
    assert answer.pop("frames") == {"used": [True, True, True], "agreement": 1}
    assert answer.keys() == one.keys()
    assert (answer["item"], answer["confident"], answer["known"]) == ("red", True, True)


def test_an_answer_to_one_picture_says_nothing_of_frames(client):
    """The answer to a request without `images` is unchanged."""
    assert "frames" not in client.post("/process-image", json={"image_data": as_base64(picture("red"))}).json()


def test_a_frame_of_something_else_is_left_out(client):
    """A hand in front of the camera does not affect the answer."""
    clean = frames(client, "red", "red", "red").json()
    answer = frames(client, "red", "blue", "red", "red").json()
    assert answer["frames"] == {"used": [True, False, True, True], "agreement": 0.75}
    assert answer["top_k_cosines"] == pytest.approx(clean["top_k_cosines"], abs=1e-6)
    assert answer["confident"]


def test_without_a_majority_nothing_is_sure(client):
    """Two frames of two things give no confident answer, and change no count."""
    answer = frames(client, "red", "blue", threshold=0, pantry_update={"operation": "add"}).json()
    assert answer["frames"]["agreement"] == 0.5
    assert (answer["confident"], answer["message"], answer["pantry"]) == (False, 0, None)
    assert client.get("/pantry").json()["items"] == []


def test_frames_change_a_count_once(client):
    """Several frames show one thing, so they count once."""
    answer = frames(client, "red", "red", pantry_update={"operation": "add"}).json()
    assert answer["pantry"] == {"item": "red", "count": 1}


@pytest.mark.parametrize("count", [1, 17])
def test_frames_are_2_to_16(client, count):
    """`images` takes 2 to 16 pictures; one picture is `image_data`."""
    assert frames(client, *["red"] * count).status_code == 422


def test_frames_and_a_picture_are_too_much(client):
    """The request is ambiguous and rejected."""
    answer = frames(client, "red", "red", image_data=as_base64(picture()))
    assert (answer.status_code, "not several" in answer.json()["detail"]) == (422, True)
