"""Feedback on answers: stored, taught at once, exported as training data."""

import json
from pathlib import Path

import pytest

from app.__main__ import main
from app.serving.feedback import MOST_ANSWERS, Answer, Answers
from app.training.sources import read_examples
from tests.conftest import wait_until
from tests.fakes import as_base64, picture


def ask(client, request_id, *colours):
    """Recognise pictures under a request id chosen by the caller."""
    images = [as_base64(picture(colour)) for colour in colours]
    body = {"images": images} if len(images) > 1 else {"image_data": images[0]}
    return client.post("/process-image", json=body, headers={"X-Request-ID": request_id}).json()


def say(client, request_id, item, **more):
    return client.post("/feedback", json={"request_id": request_id, "item": item} | more)


def exported(folder, capsys) -> dict:
    """Return the output of the command."""
    assert main(["feedback", "export", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_answer_is_said_to_be_right_or_wrong(client):
    """Feedback by request id returns the earlier answer."""
    answered = ask(client, "r1", "yellow")["item"]
    expected = {"request_id": "r1", "item": "quince", "answered": answered, "right": False}
    assert say(client, "r1", "Quince").json() == expected | {"pictures_kept": 0, "taught": None}
    assert say(client, "r1", answered.upper()).json()["right"] is True


def test_feedback_is_taught_at_once(client):
    """The pictures shown become examples, every frame that counted."""
    ask(client, "r1", "yellow")
    (example,) = say(client, "r1", "quince", teach=True).json()["taught"]
    assert [each["id"] for each in client.get("/pantry/quince/examples").json()["examples"]] == [example["id"]]
    wait_until(lambda: ask(client, "r2", "yellow")["item"] == "quince")
    ask(client, "r3", "cyan", "white")
    assert len(say(client, "r3", "sky", teach=True).json()["taught"]) == 2
    assert ask(client, "r4", "yellow", "blue", "yellow")["frames"]["used"] == [True, False, True]
    assert len(say(client, "r4", "quince", teach=True).json()["taught"]) == 2


def test_feedback_never_reaches_somebody_elses_picture(client):
    """A request id that two callers chose for different pictures is refused; an id that came twice with one is not."""
    ask(client, "order-1", "yellow")
    ask(client, "order-1", "red")
    response = say(client, "order-1", "quince", teach=True)
    assert response.status_code == 422
    assert "send each with an X-Request-ID of its own" in response.json()["detail"]
    assert client.get("/pantry").json()["items"] == []
    ask(client, "order-1", "yellow")
    assert say(client, "order-1", "quince").status_code == 422
    ask(client, "frames", "yellow", "yellow")
    ask(client, "frames", "yellow")
    assert say(client, "frames", "quince").status_code == 422
    for _ in range(2):
        ask(client, "sent-again", "yellow")
    assert say(client, "sent-again", "quince").status_code == 200


def test_an_id_that_the_service_made_is_for_one_answer(client):
    """Without an id of the caller's, the answer's header names it."""
    ids = [
        client.post("/process-image", json={"image_data": as_base64(picture(colour))}).headers["x-request-id"]
        for colour in ("red", "blue")
    ]
    assert [say(client, each, "quince").json()["answered"] for each in ids] == ["red", "blue"]


def test_a_request_id_that_comes_back_later_replaces_no_correction(start):
    """Corrections are stored under ids of the service's own; a second one of the same answer replaces the first."""
    client = start()
    service = client.app.state.service
    ask(client, "order-1", "yellow")
    say(client, "order-1", "quince")
    say(client, "order-1", "lemon")
    service.answers._forget("order-1")
    ask(client, "order-1", "red")
    say(client, "order-1", "cherry")
    assert [each.item for each in service.feedback.store.corrections()] == ["lemon", "cherry"]


def test_feedback_without_teaching_changes_nothing(client):
    """It is only stored for later training."""
    ask(client, "r1", "yellow")
    say(client, "r1", "quince")
    assert client.get("/pantry").json()["items"] == []


def test_an_answer_that_is_not_remembered_is_not_found(client):
    """Unknown ids, answers of another service, and answers for lists are 404."""
    assert say(client, "no", "quince").status_code == 404


def test_the_last_answers_are_remembered():
    """A fixed number of answers is remembered; a repeated request id counts once."""
    answers = Answers()
    for number in range(MOST_ANSWERS + 1):
        answers.remember(str(number), Answer("red", []))
        answers.remember("always", Answer(f"red {number}", [], ["x" * 1000]))
    assert answers.of("always").item == f"red {MOST_ANSWERS}"
    assert answers.of(str(MOST_ANSWERS)).item == "red"
    with pytest.raises(Exception, match="remembered"):
        answers.of("1")


def test_pictures_in_memory_are_bounded(monkeypatch):
    """Pictures are limited by their bytes: the oldest answers are evicted."""
    monkeypatch.setattr("app.serving.feedback.MOST_BYTES", 2500)
    answers = Answers()
    for number in range(5):
        answers.remember(str(number), Answer("red", [], ["x" * 1000]))
    assert [answers.of(str(number)).item for number in (3, 4)] == ["red", "red"]
    with pytest.raises(Exception, match="remembered"):
        answers.of("2")


def test_pictures_become_training_data(start, tmp_path: Path, monkeypatch, capsys):
    """If pictures are kept, `feedback export` writes what `app.training` reads; the last correction counts."""
    client = start(keep_pictures=True)
    for number, colours in enumerate([["yellow"], ["cyan", "cyan"], ["red"]]):
        ask(client, f"r{number}", *colours)
    assert say(client, "r0", "quince").json()["pictures_kept"] == 1
    say(client, "r1", "quince")
    say(client, "r1", "..")
    monkeypatch.setenv("LARDER_DATA", str(client.app.state.service.feedback.store._path.parent))
    folder = tmp_path / "exported"
    assert exported(folder, capsys) == {"folder": str(folder), "pictures": 3, "without_picture": 0, "failed": 0}
    found = read_examples(folder, 8)
    assert (found.texts, found.pictures.labels.tolist()) == (["..", "quince"], [0, 0, 1])
    assert not (tmp_path / "r1-0.png").exists()


def test_without_pictures_there_is_nothing_to_export(client, tmp_path, monkeypatch, capsys):
    """The vectors alone are kept, and the command says how many."""
    ask(client, "r1", "yellow")
    say(client, "r1", "quince")
    monkeypatch.setenv("LARDER_DATA", str(client.app.state.service.feedback.store._path.parent))
    assert exported(tmp_path / "exported", capsys)["without_picture"] == 1


def test_feedback_by_a_label_teaches_the_item_that_the_pantry_has_for_it(client):
    """The pantry calls blue azure blue: either name is right, and its item gets the example."""
    client.put("/pantry/azure blue", json={"count": 1})
    wait_until(lambda: client.get("/labels").json()["labels"][2]["sources"] == ["file", "pantry"])
    ask(client, "r1", "blue")
    for name in ("blue", "Azure Blue"):
        said = say(client, "r1", name, teach=True).json()
        assert (said["item"], said["answered"], said["right"]) == ("azure blue", "blue", True)
    assert [each["item"] for each in client.get("/pantry").json()["items"]] == ["azure blue"]
    assert len(client.get("/pantry/azure blue/examples").json()["examples"]) == 1
