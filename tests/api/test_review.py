"""The review queue: uncertain pictures are listed, labelled and dismissed."""

import numpy as np
import pytest

from tests.conftest import wait_until
from tests.fakes import as_base64, as_bytes, picture


def ask(client, *colours, **headers):
    """Recognise pictures, several as frames of one thing."""
    images = [as_base64(picture(colour)) for colour in colours]
    body = {"images": images} if len(images) > 1 else {"image_data": images[0]}
    response = client.post("/process-image", json=body, headers=headers)
    assert response.status_code == 200
    return response


def entries(client):
    return client.get("/review").json()["entries"]


def examples(client, item):
    return client.get(f"/pantry/{item}/examples").json()["examples"]


def test_what_is_not_sure_is_to_be_reviewed(client):
    """Unconfident and unknown pictures are listed with the best guesses; confident ones are not."""
    ask(client, "red")
    assert client.get("/review").json() == {"total": 0, "entries": []}
    answer = ask(client, "yellow").json()
    (entry,) = entries(client)
    assert (entry["top_k_items"], entry["top_k_scores"]) == (answer["top_k_items"], answer["top_k_scores"])
    assert (entry["known"], entry["seen"], entry["pictures"]) == (answer["known"], 1, 0)
    assert 0 < entry["uncertainty"] < 1


def test_what_is_confident_and_not_known_is_to_be_reviewed(start):
    """A confident but unknown picture shows that a label is missing."""
    client = start(known_margin=0.999)
    answer = ask(client, "red").json()
    assert (answer["confident"], answer["known"]) == (True, False)
    assert [each["known"] for each in entries(client)] == [False]


def test_the_most_informative_comes_first(client):
    """The order is by entropy over all labels, not by time; a limit shortens the list and not the total."""
    ask(client, "yellow")
    ask(client, "white")
    ask(client, "cyan")
    found = entries(client)
    assert [each["uncertainty"] for each in found] == sorted((each["uncertainty"] for each in found), reverse=True)
    assert found[0]["top_k_scores"] == pytest.approx([1 / 3] * 3, abs=0.01)
    cut = client.get("/review", params={"limit": 1}).json()
    assert (cut["total"], cut["entries"]) == (3, found[:1])


def test_near_duplicates_are_one_entry(client):
    """A repeated scene is listed once, with its count."""
    for _ in range(3):
        ask(client, "yellow")
    ask(client, "cyan")
    assert sorted(each["seen"] for each in entries(client)) == [1, 3]


def test_a_label_teaches_and_settles(client):
    """The picture becomes an example, the correction is stored, the entry is removed, and the item is recognised."""
    ask(client, "yellow")
    (entry,) = entries(client)
    answer = client.post(f"/review/{entry['id']}", json={"item": "Quince"}).json()
    (example,) = answer["taught"]
    assert (answer["item"], answer["right"], answer["pictures_kept"]) == ("quince", False, 0)
    assert [each["id"] for each in examples(client, "quince")] == [example["id"]]
    assert entries(client) == []
    service = client.app.state.service
    assert [(each.item, each.picture) for each in service.feedback.store.corrections()] == [("quince", None)]
    wait_until(lambda: ask(client, "yellow").json()["item"] == "quince")


def test_a_label_that_is_sent_again_changes_nothing(client):
    """There is still one example, one correction, and the same answer."""
    ask(client, "yellow")
    (entry,) = entries(client)
    first, second = (client.post(f"/review/{entry['id']}", json={"item": "quince"}) for _ in range(2))
    assert [each["id"] for each in first.json()["taught"]] == [each["id"] for each in second.json()["taught"]]
    assert len(examples(client, "quince")) == len(list(client.app.state.service.feedback.store.corrections())) == 1


def test_another_label_takes_the_place_of_the_first(client):
    """A new label corrects a mistake: the first item loses the example."""
    ask(client, "yellow", "yellow")
    (entry,) = entries(client)
    for item in ("lemon", "quince"):
        assert client.post(f"/review/{entry['id']}", json={"item": item}).status_code == 200
    assert (len(examples(client, "lemon")), len(examples(client, "quince"))) == (0, 1)
    assert {each.item for each in client.app.state.service.feedback.store.corrections()} == {"quince"}


def test_what_is_sure_by_now_is_left_out(client):
    """Entries are recognised again at each call, with the current labels."""
    ask(client, "cyan")
    assert len(entries(client)) == 1
    client.put("/pantry/cyan", json={"count": 1})
    wait_until(lambda: entries(client) == [])


def test_feedback_settles_an_entry(client):
    """A picture corrected below the answer is not listed for review."""
    ask(client, "yellow", **{"X-Request-ID": "r1"})
    assert len(entries(client)) == 1
    client.post("/feedback", json={"request_id": "r1", "item": "quince"})
    assert entries(client) == []


def test_what_is_dismissed_does_not_come_back(client):
    """The entry and further pictures of the scene are not listed again; a second dismissal is 404."""
    ask(client, "yellow")
    (entry,) = entries(client)
    assert client.delete(f"/review/{entry['id']}").json() == {"id": entry["id"]}
    ask(client, "yellow")
    assert entries(client) == []
    assert client.delete(f"/review/{entry['id']}").status_code == 404
    assert client.post(f"/review/{entry['id']}", json={"item": "quince"}).status_code == 404
    assert client.get("/pantry").json()["items"] == []


@pytest.mark.parametrize("item", ["", "salt/pepper", "x" * 201])
def test_a_label_is_checked_as_items_are(client, item):
    """An invalid name stores nothing, and the entry stays."""
    ask(client, "yellow")
    (entry,) = entries(client)
    assert client.post(f"/review/{entry['id']}", json={"item": item}).status_code == 422
    assert (len(entries(client)), client.get("/pantry").json()["items"]) == (1, [])


def test_unknown_ids_are_not_found(client):
    """Every call answers 404."""
    assert client.post("/review/no", json={"item": "quince"}).status_code == 404
    assert client.delete("/review/no").status_code == 404
    assert client.get("/review/no/pictures/0").status_code == 404


def test_pictures_are_shown_where_they_are_kept(start):
    """Frames are returned unchanged; labelled ones become training data, dismissed ones are deleted."""
    client = start(keep_pictures=True)
    ask(client, "yellow", "yellow")
    ask(client, "cyan")
    frames, one = sorted(entries(client), key=lambda each: -each["pictures"])
    assert (frames["pictures"], one["pictures"]) == (2, 1)
    shown = client.get(f"/review/{frames['id']}/pictures/1")
    assert (shown.content, shown.headers["content-type"]) == (as_bytes(picture("yellow")), "image/png")
    assert client.get(f"/review/{frames['id']}/pictures/2").status_code == 404
    assert client.post(f"/review/{frames['id']}", json={"item": "quince"}).json()["pictures_kept"] == 2
    kept = [each.picture for each in client.app.state.service.feedback.store.corrections()]
    assert kept == [as_bytes(picture("yellow"))] * 2
    client.delete(f"/review/{one['id']}")
    assert client.get(f"/review/{one['id']}/pictures/0").status_code == 404


def test_without_the_setting_no_picture_is_kept(client):
    """Only vectors are stored."""
    ask(client, "yellow")
    (entry,) = entries(client)
    assert client.get(f"/review/{entry['id']}/pictures/0").status_code == 404


@pytest.mark.parametrize("path", ["/review", "/review/{id}/pictures/0"])
def test_nothing_is_shown_without_a_key(start, path):
    """Pictures in particular need a key."""
    client = start(keep_pictures=True, api_keys="secret")
    key = {"x-api-key": "secret"}
    ask(client, "yellow", **key)
    (entry,) = client.get("/review", headers=key).json()["entries"]
    path = path.format(id=entry["id"])
    assert client.get(path, headers=key).status_code == 200
    assert client.get(path).status_code == client.get(path, headers={"x-api-key": "no"}).status_code == 401


def test_the_queue_survives_a_restart(start):
    """Answers from before a restart are listed after it."""
    client = start(keep_pictures=True)
    ask(client, "yellow")
    client.__exit__(None, None, None)
    again = start(keep_pictures=True)
    assert [each["pictures"] for each in entries(again)] == [1]


def test_the_queue_can_be_turned_off(start):
    """With LARDER_REVIEW=0 nothing is stored, and there is no file."""
    client = start(review=0)
    ask(client, "yellow")
    assert client.get("/review").json()["total"] == 0
    assert not list(client.app.state.service.settings.data.glob("review*"))


def test_a_disk_that_is_full_fails_no_recognition(start):
    """The queue reports it; recognition continues."""
    client = start()
    client.app.state.service.settings.data.joinpath("review.sqlite").mkdir()
    ask(client, "yellow")
    response = client.get("/review")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
    assert ask(client, "red").json()["confident"]


def test_an_id_that_two_callers_chose_is_two_entries(client):
    """Feedback must not guess which of them is meant; the queue lists each separately."""
    for colour in ("yellow", "cyan", "yellow"):
        ask(client, colour, **{"X-Request-ID": "order-1"})
    assert sorted(each["seen"] for each in entries(client)) == [1, 2]
    for entry in entries(client):
        assert client.post(f"/review/{entry['id']}", json={"item": f"item {entry['seen']}"}).status_code == 200
    assert len(list(client.app.state.service.feedback.store.corrections())) == 2


def test_the_order_is_that_of_the_entropy(client):
    """The vectorised entropy equals its definition computed one by one."""
    from app.recognition.uncertainty import entropy, label_probabilities
    from app.recognition.zero_shot import softmax

    recogniser = client.app.state.service.recogniser
    pictures = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    for picture_, found in zip(pictures, entropy(label_probabilities(pictures, recogniser)), strict=True):
        shares = softmax(20.0 * (recogniser.label_set.prototypes @ picture_)).tolist()
        assert found == pytest.approx(-sum(p * np.log(p) for p in shares) / np.log(3), abs=1e-5)
