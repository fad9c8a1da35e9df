"""`POST /models/{model}`: Hugging Face's form of zero-shot image classification."""

import pytest

from tests.api.test_process_image import problem
from tests.fakes import as_base64, picture

RED = as_base64(picture("red"))


def post(client, path="/models/colours", inputs=RED, **parameters):
    parameters = {"candidate_labels": ["green", "red", "blue"]} | parameters
    return client.post(path, json={"inputs": inputs, "parameters": parameters})


def test_the_best_label_comes_first(client, encoder):
    """Labels with scores that sum to 1, made into prompts as that form's pipeline does."""
    answer = post(client).json()
    assert answer[0]["label"] == "red"
    assert [each["score"] for each in answer] == sorted((each["score"] for each in answer), reverse=True)
    assert sum(each["score"] for each in answer) == pytest.approx(1)
    assert encoder.prompts_seen[-3:] == [f"This is a photo of {each}." for each in ("green", "red", "blue")]


def test_the_template_can_be_given(client, encoder):
    """`hypothesis_template` is used word for word."""
    post(client, hypothesis_template="{}!")
    assert encoder.prompts_seen[-3:] == ["green!", "red!", "blue!"]


def test_older_clients_are_understood(client):
    """Labels as a comma-separated string, and the picture under its former name."""
    assert post(client, candidate_labels="green, red,blue").json() == post(client).json()
    body = {"image": RED, "parameters": {"candidate_labels": "green,red,blue"}, "options": {"wait_for_model": True}}
    assert client.post("/models/colours", json=body).json() == post(client).json()


def test_several_labels_may_apply(client):
    """With `multi_label` each label has the probability that `/classify` gives it as an independent one."""
    template = "This is a photo of {}."
    body = {"image_data": RED, "labels": ["green", "red", "blue"], "template": template, "mode": "independent"}
    independent = client.post("/classify", json=body).json()["result"]
    answer = post(client, multi_label=True).json()
    assert {each["label"]: each["score"] for each in answer} == independent
    assert answer[0]["label"] == "red"
    assert post(client, multi_label=False).json() == post(client).json() != answer


def test_a_string_of_millions_of_labels_is_only_counted(client):
    """Its commas are, before anything is made of it."""
    message = problem(post(client, candidate_labels="a," * 3_000_000), 422, "invalid_labels")
    assert message.startswith("3,000,001 labels were sent")


@pytest.mark.parametrize("path", ["/models/clip", "/models/openai/clip-vit-base-patch32", "/models/colours/more"])
def test_another_model_is_not_found(client, path):
    """Names may have slashes; the served one is named."""
    assert "'colours' is served" in problem(post(client, path), 404, "not_found")


def test_errors_are_those_of_classify(client):
    """Labels, pictures and forms are refused as there."""
    problem(post(client, candidate_labels=["red", "Red"]), 422, "invalid_labels")
    problem(post(client, candidate_labels="red,,blue"), 422, "invalid_labels")
    problem(post(client, hypothesis_template="none"), 422, "invalid_labels")
    problem(post(client, inputs="!!"), 400, "invalid_image")
    problem(post(client, candidate_labels=7), 422, "invalid_request")
    problem(client.post("/models/colours", json={"inputs": RED}), 422, "invalid_request")
