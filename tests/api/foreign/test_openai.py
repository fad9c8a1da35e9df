"""`POST /v1/embeddings`: OpenAI's form, with pictures."""

import base64
import json
from pathlib import Path

import jsonschema
import numpy as np
import openai
import pytest

from tests.api.test_process_image import problem
from tests.fakes import as_base64, as_bytes, picture
from tests.serving.test_image_fetcher import Site

SCHEMA = Path(__file__).parents[3] / "app/api/foreign/openai.schema.json"

RED = as_base64(picture("red"))
RED_URI = f"data:image/png;base64,{RED}"


def post(client, **body):
    return client.post("/v1/embeddings", json={"model": "colours", "input": "red"} | body)


def vectors(response) -> np.ndarray:
    return np.array([each["embedding"] for each in response.json()["data"]])


def test_a_text_becomes_a_unit_vector(client, encoder):
    """The answer has OpenAI's form, and the vector is the encoder's."""
    answer = post(client, input="a red thing").json()
    assert set(answer) == {"object", "data", "model", "usage"}
    assert (answer["object"], answer["model"]) == ("list", "colours")
    assert answer["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    [entry] = answer["data"]
    assert (entry["object"], entry["index"]) == ("embedding", 0)
    assert entry["embedding"] == pytest.approx(encoder.texts(["a red thing"])[0].tolist())


def test_what_stands_twice_is_encoded_once(client, encoder):
    """Equal texts and equal pictures are encoded once."""
    batches = sum(encoder.batches)
    assert len(vectors(post(client, input=[RED_URI, "cyan", RED_URI, "cyan"]))) == 4
    assert sum(encoder.batches) - batches == 1
    assert encoder.prompts_seen.count("cyan") == 1


def test_texts_and_pictures_can_be_mixed(client):
    """Each input gets its vector at its own position, duplicates included; pictures count no tokens."""
    blue = f"data:image/png;base64,{as_base64(picture('blue'))}"
    response = post(client, input=[blue, "red", RED_URI, "blue", "red"])
    found = vectors(response)
    assert [each["index"] for each in response.json()["data"]] == [0, 1, 2, 3, 4]
    assert (found @ found.T > 0.999).tolist() == [
        [True, False, False, True, False],
        [False, True, True, False, True],
        [False, True, True, False, True],
        [True, False, False, True, False],
        [False, True, True, False, True],
    ]
    assert response.json()["usage"]["total_tokens"] == 9


def test_base64_is_little_endian_float32(client):
    """It encodes exactly the same numbers in half the bytes."""
    floats = vectors(post(client, input=["red", RED_URI]))
    coded = post(client, input=["red", RED_URI], encoding_format="base64").json()["data"]
    decoded = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in coded]
    assert np.array_equal(np.array(decoded), floats.astype(np.float32))


def test_modality_says_what_the_inputs_are(client):
    """With `image` bare base64 is a picture; with `text` even a data URI is text."""
    assert vectors(post(client, input=RED, modality="image")) == pytest.approx(vectors(post(client, input=RED_URI)))
    as_text = vectors(post(client, input="data:;base64,AAAA", modality="text"))
    assert as_text.tolist() == [[0, 0, 0, 1]]


def test_more_pictures_than_the_queue_holds_are_answered(start, encoder):
    """A single request never overloads the service."""
    client = start(max_queue=2)
    pictures = [f"data:image/png;base64,{as_base64(picture(size=(8, 8 + n)))}" for n in range(5)]
    assert len(vectors(post(client, input=pictures))) == 5


def test_unknown_fields_and_a_missing_model_are_no_matter(client):
    """Unknown fields are ignored, since others define the format, and the model's name is optional."""
    assert client.post("/v1/embeddings", json={"input": "red", "user": "me", "truncate": "END"}).status_code == 200
    assert post(client, dimensions=4).status_code == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": [1, 2, 3]}, "token arrays are not accepted"),
        ({"input": [[1, 2], [3]]}, "token arrays are not accepted"),
        ({"input": []}, "0 inputs were sent; 1 to 1,000"),
        ({"input": ["red"] * 1001}, "1,001 inputs were sent"),
        ({"input": ["red", " "]}, "a text is blank"),
        ({"input": "so " * 11}, "… exceeds the model's context length of 12 tokens"),
        ({"input": "s" * 2001}, "has 2,001 characters, at most 2,000"),
        ({"input": 7}, "input"),
        ({"dimensions": 3}, "dimensions: 3 was found; colours has 4"),
        ({"encoding_format": "hex"}, "'float' or 'base64'"),
        ({"modality": "audio"}, "'text' or 'image'"),
    ],
)
def test_what_cannot_be_embedded_is_said(client, body, message):
    """The error is 422 `invalid_request`; a text is never truncated silently."""
    assert message in problem(post(client, **body), 422, "invalid_request")


def test_another_model_is_not_found(client):
    """The error names the served model."""
    assert "'colours' is served" in problem(post(client, model="clip"), 404, "not_found")


def test_a_bad_picture_is_its_own_error(client):
    """A broken picture gives the same error as in every other call."""
    problem(post(client, input=RED_URI[:90]), 400, "invalid_image")
    problem(post(client, input="!!", modality="image"), 400, "invalid_image")


def test_half_a_surrogate_pair_is_answered(client):
    """It is embedded like any other text."""
    body = json.dumps({"input": ["red \ud800"]})
    response = client.post("/v1/embeddings", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 200


RED_OBJECT = {"type": "image_url", "image_url": {"url": RED_URI}}


@pytest.mark.parametrize(
    "red",
    [
        {"image": RED},
        {"image": RED_URI},
        {"image_url": RED_URI},
        {"image_url": {"url": RED_URI, "detail": "low"}},
        RED_OBJECT,
        {"type": "image", "image": RED, "text": None, "more": 1},
    ],
    ids=str,
)
def test_objects_name_their_kind(client, red):
    """The forms of Jina, vLLM, Xinference and OpenRouter work, alone or mixed with strings."""
    expected = vectors(post(client, input=[RED_URI, "red"]))
    found = vectors(post(client, input=[red, {"text": "red"}, {"type": "text", "text": "red"}, "red"]))
    assert found == pytest.approx(expected[[0, 1, 1, 1]])
    assert vectors(post(client, input=red)) == pytest.approx(expected[:1])


def test_a_text_and_an_image_in_one_object_are_one_embedding(client):
    """The embedding is the normalised sum of both."""
    red, blue, both = vectors(post(client, input=[RED_URI, "blue", {"text": "blue", "image": RED}]))
    assert both == pytest.approx((red + blue) / np.linalg.norm(red + blue), abs=1e-6)


@pytest.mark.parametrize("url", ["https://example.org/a.jpg", "http://127.0.0.1/a.jpg", " HTTPS://example.org/a "])
def test_a_url_is_not_embedded_as_words(client, url):
    """The message says what to send; the characters can be embedded explicitly."""
    for modality in ({}, {"modality": "image"}):
        message = problem(post(client, input=["red", url], **modality), 422, "invalid_request")
        assert 'send {"image_url": ...}' in message
    assert post(client, input=url, modality="text").status_code == 200
    assert post(client, input="see https://example.org/a.jpg").status_code == 200


def test_images_at_urls_are_fetched_where_that_is_allowed(start):
    """Each form of a URL is fetched; if the feature is off, the error says so."""
    with Site() as site:
        url = f"http://127.0.0.1:{site.port}/red.png"
        forms = [{"image": url}, {"image_url": url}, {"type": "image_url", "image_url": {"url": url}}]
        found = vectors(
            post(start(image_urls=("127.0.0.1",)), input=[*forms, {"text": "red", "image_url": url}, RED_URI])
        )
        assert found[:3] == pytest.approx(found[[4, 4, 4]])
        assert "switched off" in problem(post(start(), input=forms), 422, "invalid_request")


@pytest.mark.parametrize(
    "bad",
    [{}, {"audio": "a"}, {"image": 5}, {"text": 5}, {"image": RED, "image_url": RED_URI}, {"text": " "}, None, [[]]],
)
def test_objects_that_are_nothing_are_refused(client, bad):
    """An object without a text or image is rejected, alone or among others."""
    problem(post(client, input=[bad]), 422, "invalid_request")
    problem(post(client, input=["red", bad]), 422, "invalid_request")


def test_nulls_are_absent(client):
    """LiteLLM sends every optional field, most of them null."""
    nulls = dict.fromkeys(["encoding_format", "dimensions", "user", "modality", "extra_headers", "timeout"])
    assert post(client, input=["red"], **nulls).json() == post(client, input=["red"]).json()


def test_raw_images_and_forms_are_embedded(client):
    """A raw image, and each file of a form, gives one embedding."""
    raw, other = as_bytes(picture("red")), as_bytes(picture("blue"))
    assert vectors(client.post("/v1/embeddings", content=raw)) == pytest.approx(vectors(post(client, input=RED_URI)))
    two = client.post("/v1/embeddings", files=[("images", raw), ("images", other)], data={"encoding_format": "base64"})
    assert [type(each["embedding"]) for each in two.json()["data"]] == [str, str]


def test_the_served_model_is_listed(client):
    """Only the served model is listed and found by its name."""
    listed = client.get("/v1/models").json()
    assert [each["id"] for each in listed["data"]] == ["colours"]
    assert client.get("/v1/models/colours").json() == listed["data"][0]
    assert "'colours' is served" in problem(client.get("/v1/models/openai/clip"), 404, "not_found")


def client_schema() -> dict:
    """The response schema of the installed `openai`, without descriptions; `python -m` this file writes it."""
    types = (openai.types.CreateEmbeddingResponse, openai.types.Model)
    models = {"type": "object", "required": ["object", "data"], "properties": {"data": {"type": "array"}}}
    return {each.__name__: undescribed(each.model_json_schema()) for each in types} | {"ModelList": models}


def undescribed(schema: object) -> object:
    """Return a JSON schema without its descriptions."""
    if isinstance(schema, dict):
        return {name: undescribed(value) for name, value in schema.items() if name not in ("description", "title")}
    return [undescribed(each) for each in schema] if isinstance(schema, list) else schema


def test_answers_have_the_form_that_the_client_knows(client):
    """The stored schema equals the installed client's, and our responses match it."""
    schema = json.loads(SCHEMA.read_text())
    assert schema == client_schema()
    jsonschema.validate(post(client, input=["red", RED_URI]).json(), schema["CreateEmbeddingResponse"])
    listed = client.get("/v1/models").json()
    jsonschema.validate(listed, schema["ModelList"])
    jsonschema.validate(listed["data"][0], schema["Model"])


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(client_schema(), indent=1, sort_keys=True) + "\n")
