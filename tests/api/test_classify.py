"""`POST /classify`: every documented field, rule and error."""

import json

import pytest
from PIL import Image

from tests.api.test_process_image import problem
from tests.fakes import as_base64, picture

RED = as_base64(picture("red"))


def post(client, **body):
    return client.post("/classify", json={"image_data": RED, "labels": ["red", "green", "blue"]} | body)


def two_colours() -> str:
    """Red on the left, blue on the right."""
    both = Image.new("RGB", (32, 32), (255, 0, 0))
    both.paste((0, 0, 255), (16, 0, 32, 32))
    return as_base64(both)


def test_labels_are_weighed_in_the_order_of_the_request(client):
    """A red square is red; fields that were not requested are null."""
    answer = post(client, labels=["a blue thing", "a red thing", "a green thing"]).json()
    assert list(answer["result"]) == ["a blue thing", "a red thing", "a green thing"]
    assert max(answer["result"], key=answer["result"].get) == "a red thing"
    assert sum(answer["result"].values()) == pytest.approx(1)
    assert answer["cosines"]["a red thing"] == pytest.approx(1, abs=1e-3)
    assert (answer["categories"], answer["none_of_these"]) == (None, None)
    assert (answer["confident"], answer["model"]) == (True, "colours")


def test_labels_are_prompts_word_for_word(client, encoder):
    """Labels are used verbatim without a template, and inserted into one if given; the answer has them unchanged."""
    post(client, labels=["A  red thing", "blue!"])
    post(client, labels=["red", "blue"], template="a photo of {}, {}")
    assert encoder.prompts_seen[-4:] == ["A  red thing", "blue!", "a photo of red, red", "a photo of blue, blue"]
    assert list(post(client, labels=["A  red thing", "blue!"]).json()["result"]) == ["A  red thing", "blue!"]


def test_one_picture_and_the_new_prompts_are_encoded(client, encoder):
    """For any number of labels, the picture is encoded once, and only new prompts are encoded."""
    batches, prompts = len(encoder.batches), len(encoder.prompts_seen)
    post(client, labels=[f"red {n}" for n in range(40)])
    assert encoder.batches[batches:] == [1]
    assert len(encoder.prompts_seen) == prompts + 40
    post(client, labels={f"red {n}": "any" for n in range(39, 50)}, mode="independent")
    assert encoder.prompts_seen[prompts + 40 :] == [f"red {n}" for n in range(40, 50)]


def test_categories_stand_beside_their_labels(client):
    """With a map, each category has the probability of its best label."""
    labels = {"red": "warm", "yellow": "warm", "blue": "cold"}
    answer = post(client, labels=labels).json()
    assert list(answer["result"]) == ["red", "yellow", "blue"]
    assert list(answer["categories"]) == ["warm", "cold"]
    assert sum(answer["categories"].values()) == pytest.approx(1)
    assert answer["categories"]["warm"] > 0.99


@pytest.mark.parametrize("mode", ["exclusive", "independent"])
def test_phrases_that_say_the_same_move_no_category(client, mode):
    """Five phrases for red make warm no more probable than one."""
    halfway = as_base64(Image.new("RGB", (8, 8), (128, 0, 128)))  # between red and blue
    once = {"red": "warm", "blue": "cold"}
    often = {f"{word} red": "warm" for word in ("one", "two", "three", "four", "five")} | {"blue": "cold"}
    few, many = (post(client, image_data=halfway, labels=each, mode=mode).json() for each in (once, often))
    assert many["categories"] == pytest.approx(few["categories"], abs=1e-6)


def test_a_phrase_that_the_json_repeats_counts_once(client):
    """The same name five times in the map is one label."""
    body = f'{{"image_data": "{RED}", "labels": {{{", ".join([json.dumps("red") + ": " + json.dumps("warm")] * 5)}}}}}'
    answer = client.post("/classify", content=body, headers={"Content-Type": "application/json"}).json()
    assert answer["result"] == {"red": 1.0}


def test_independent_finds_both_where_exclusive_finds_one_at_most(client):
    """For a picture with two colours, the probabilities of both labels may sum to more than 1."""
    labels = ["red", "blue", "green"]
    exclusive = post(client, image_data=two_colours(), labels=labels).json()["result"]
    independent = post(client, image_data=two_colours(), labels=labels, mode="independent").json()["result"]
    assert [label for label in labels if exclusive[label] > 0.5] == []
    assert [label for label in labels if independent[label] > 0.5] == ["red", "blue"]
    alone = [post(client, image_data=two_colours(), labels=[label], mode="independent").json() for label in labels]
    assert [each["result"][label] for each, label in zip(alone, labels, strict=True)] == pytest.approx(
        list(independent.values()), abs=1e-6
    )


def test_none_of_these_is_said_when_it_is_asked(client):
    """It is probable if no label applies, and part of the exclusive probabilities."""
    answer = post(client, labels=["green", "cyan"], none_of_these=True).json()
    assert answer["none_of_these"] > 0.99
    assert sum(answer["result"].values()) + answer["none_of_these"] == pytest.approx(1)
    assert answer["confident"] is False
    assert post(client, none_of_these=True).json()["none_of_these"] < 0.01


def test_one_label_is_confident_only_where_it_can_lose(client):
    """A single exclusive label has probability 1 and is not confident; independent or with none of these it can be."""
    assert post(client, labels=["green"]).json()["result"] == {"green": 1.0}
    assert post(client, labels=["red"]).json()["confident"] is False
    assert post(client, labels={"red": "a", "blue": "a"}).json()["confident"] is False
    assert post(client, labels=["red"], mode="independent").json()["confident"] is True
    assert post(client, labels=["red"], none_of_these=True).json()["confident"] is True
    assert post(client, labels=["green"], none_of_these=True).json()["confident"] is False


def test_the_threshold_is_strict(client):
    """Confident means strictly above the threshold."""
    assert post(client, threshold=1).json()["confident"] is False
    halfway = as_base64(Image.new("RGB", (8, 8), (255, 255, 0)))
    assert post(client, image_data=halfway).json()["confident"] is False
    assert post(client, image_data=halfway, threshold=0.4).json()["confident"] is True


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"labels": []}, "0 labels were sent"),
        ({"labels": {}}, "0 labels were sent"),
        ({"labels": ["red", " "]}, "place 2 is blank"),
        ({"labels": {"red": "\t"}}, "category at place 1 is blank"),
        ({"labels": ["Soy  sauce", "soy sauce"]}, "'soy sauce' and 'Soy  sauce' are one label"),
        ({"labels": ["r" * 201]}, "has 201 characters; 200"),
        ({"labels": [f"red {n}" for n in range(1001)]}, "1,001 labels were sent; 1 to 1,000"),
        ({"labels": ["red", "so " * 11]}, "context length of 12 tokens"),
        ({"template": "photo"}, "template"),
    ],
)
def test_labels_that_cannot_be_used_are_named(client, encoder, body, message):
    """They are 422 `invalid_labels`, before the picture is encoded."""
    batches = len(encoder.batches)
    assert message in problem(post(client, **body), 422, "invalid_labels")
    assert len(encoder.batches) == batches


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"labels": "red,blue"}, "labels.list: Input should be a valid list"),
        ({"labels": ["red", 2]}, "labels.list.1: Input should be a valid string"),
        ({"labels": {"red": None}}, "labels.map: 'red' has a value that is not a string"),
        ({"labels": None}, "labels"),
        ({"mode": "both"}, "mode: Input should be 'exclusive' or 'independent'"),
        ({"none_of_these": 1}, "none_of_these"),
        ({"threshold": 2}, "threshold"),
        ({"top_k": 2}, "top_k: Extra inputs"),
    ],
)
def test_other_forms_are_refused(client, body, message):
    """Wrong types and unknown fields are 422 `invalid_request`."""
    assert message in problem(post(client, **body), 422, "invalid_request")


@pytest.mark.parametrize("labels", [["\x00", "red"], ["👩‍👩‍👧", "red"]])
def test_strange_characters_are_labels_too(client, labels):
    """A zero byte and joined emoji are returned under the names that were sent."""
    response = post(client, labels=labels)
    assert response.status_code == 200, response.text
    assert list(response.json()["result"]) == labels


@pytest.mark.parametrize("labels", [["\ud800", "\ud801"], {"red": "\udfff"}])
def test_a_lone_surrogate_is_no_label(client, labels):
    """It cannot be sent back, so the answer could not say which label it means."""
    body = json.dumps({"image_data": RED, "labels": labels})
    response = client.post("/classify", content=body, headers={"Content-Type": "application/json"})
    assert "at place 1 contains a lone surrogate" in problem(response, 422, "invalid_labels")


def test_a_bad_picture_is_its_own_error(client):
    """A broken picture gives the same error as in every other call."""
    problem(post(client, image_data="!!"), 400, "invalid_image")
    problem(post(client, image_data=RED[:60]), 400, "invalid_image")


def test_the_number_of_labels_is_a_setting(start):
    """LARDER_MAX_LABELS and LARDER_MAX_LABEL_LENGTH apply here too."""
    client = start(max_labels=2, max_label_length=10)
    problem(post(client), 422, "invalid_labels")
    assert post(client, labels=["red", "blue"]).status_code == 200
    problem(post(client, labels=["a red thing"]), 422, "invalid_labels")
