"""`POST /models/{model}`: Hugging Face's form of zero-shot image classification."""

import json
from pathlib import Path

import jsonschema
import pytest
from huggingface_hub import ImageClassificationOutputElement, ZeroShotImageClassificationOutputElement
from pydantic import TypeAdapter

from tests.api.foreign.test_openai import undescribed
from tests.api.test_process_image import problem
from tests.fakes import as_base64, as_bytes, picture

SCHEMA = Path(__file__).parents[3] / "app/api/foreign/hugging_face.schema.json"

RED = as_base64(picture("red"))


def post(client, path="/models/colours", inputs=RED, **parameters):
    parameters = {"candidate_labels": ["green", "red", "blue"]} | parameters
    return client.post(path, json={"inputs": inputs, "parameters": parameters})


def test_the_best_label_comes_first(client, encoder):
    """Scores sum to 1, and labels become prompts as in the Hugging Face pipeline."""
    answer = post(client).json()
    assert answer[0]["label"] == "red"
    assert [each["score"] for each in answer] == sorted((each["score"] for each in answer), reverse=True)
    assert sum(each["score"] for each in answer) == pytest.approx(1)
    assert encoder.prompts_seen[-3:] == [f"This is a photo of {each}." for each in ("green", "red", "blue")]


def test_the_template_can_be_given(client, encoder):
    """`hypothesis_template` is used verbatim."""
    post(client, hypothesis_template="{}!")
    assert encoder.prompts_seen[-3:] == ["green!", "red!", "blue!"]


def test_older_clients_are_understood(client):
    """Labels may be a comma-separated string, and the picture may have its former name."""
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
    """Its commas are counted before it is split."""
    message = problem(post(client, candidate_labels="a," * 3_000_000), 422, "invalid_labels")
    assert message.startswith("3,000,001 labels were sent")


@pytest.mark.parametrize("path", ["/models/clip", "/models/openai/clip-vit-base-patch32", "/models/colours/more"])
def test_another_model_is_not_found(client, path):
    """Names may contain slashes; the error names the served model."""
    assert "'colours' is served" in problem(post(client, path), 404, "not_found")


def test_errors_are_those_of_classify(client):
    """Labels, pictures and forms are validated like those of `/classify`."""
    problem(post(client, candidate_labels=["red", "Red"]), 422, "invalid_labels")
    problem(post(client, candidate_labels="red,,blue"), 422, "invalid_labels")
    problem(post(client, hypothesis_template="none"), 422, "invalid_labels")
    problem(post(client, inputs="!!"), 400, "invalid_image")
    problem(post(client, candidate_labels=7), 422, "invalid_request")
    problem(client.post("/models/colours", json={"parameters": {}}), 422, "invalid_request")


def test_without_labels_the_live_ones_are_the_candidates(client):
    """A raw image, a form and JSON work; `top_k` limits the number of results."""
    raw = client.post("/models/colours", content=as_bytes(picture("red")))
    assert [each["label"] for each in raw.json()] == ["red", "green", "blue"]
    assert client.post("/models/colours", json={"inputs": RED}).json() == raw.json()
    assert client.post("/models/colours", files={"image": as_bytes(picture("red"))}).json() == raw.json()
    one = client.post("/models/colours", json={"inputs": RED, "parameters": {"top_k": 1}}).json()
    assert [each["label"] for each in one] == ["red"]


def test_labels_may_come_beside_a_raw_image(client):
    """Labels are a query parameter, or a form field in JSON."""
    parameters = {"candidate_labels": ["green", "red", "blue"]}
    data = as_bytes(picture("red"))
    sent = {"parameters": json.dumps(parameters)}
    assert client.post("/models/colours", content=data, params=sent).json() == post(client).json()
    assert client.post("/models/colours", files={"image": data}, data=sent).json() == post(client).json()


def client_schema() -> dict:
    """The response schema of the installed `huggingface_hub`; `python -m` this file writes it."""
    types = (ImageClassificationOutputElement, ZeroShotImageClassificationOutputElement)
    return {each.__name__: undescribed(TypeAdapter(list[each]).json_schema()) for each in types}


def test_answers_have_the_form_that_the_client_knows(client):
    """The stored schema equals the installed client's, and our responses match it."""
    schema = json.loads(SCHEMA.read_text())
    assert schema == client_schema()
    jsonschema.validate(post(client).json(), schema["ZeroShotImageClassificationOutputElement"])
    answer = client.post("/models/colours", json={"inputs": RED}).json()
    jsonschema.validate(answer, schema["ImageClassificationOutputElement"])


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(client_schema(), indent=1, sort_keys=True) + "\n")
