"""`POST /v1/embeddings`: OpenAI's form, with pictures."""

import base64
import json

import numpy as np
import pytest

from tests.api.test_process_image import problem
from tests.fakes import as_base64, picture

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
    """Texts and pictures alike."""
    batches = sum(encoder.batches)
    assert len(vectors(post(client, input=[RED_URI, "cyan", RED_URI, "cyan"]))) == 4
    assert sum(encoder.batches) - batches == 1
    assert encoder.prompts_seen.count("cyan") == 1


def test_texts_and_pictures_can_be_mixed(client):
    """Each input gets the vector at its own place, one that stands twice too; pictures count no tokens."""
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
    """It gives exactly the numbers, in half the bytes."""
    floats = vectors(post(client, input=["red", RED_URI]))
    coded = post(client, input=["red", RED_URI], encoding_format="base64").json()["data"]
    decoded = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in coded]
    assert np.array_equal(np.array(decoded), floats.astype(np.float32))


def test_modality_says_what_the_inputs_are(client):
    """With `image` bare base64 is a picture, with `text` even a data URI is words."""
    assert vectors(post(client, input=RED, modality="image")) == pytest.approx(vectors(post(client, input=RED_URI)))
    as_text = vectors(post(client, input="data:;base64,AAAA", modality="text"))
    assert as_text.tolist() == [[0, 0, 0, 1]]


def test_more_pictures_than_the_queue_holds_are_answered(start, encoder):
    """One request never overloads the service by itself."""
    client = start(max_queue=2)
    pictures = [f"data:image/png;base64,{as_base64(picture(size=(8, 8 + n)))}" for n in range(5)]
    assert len(vectors(post(client, input=pictures))) == 5


def test_unknown_fields_and_a_missing_model_are_no_matter(client):
    """The form is another's: what Larder does not know is ignored, the model's name may be left out."""
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
    """It is 422 `invalid_request`; a text is never cut in silence."""
    assert message in problem(post(client, **body), 422, "invalid_request")


def test_another_model_is_not_found(client):
    """The served one is named."""
    assert "'colours' is served" in problem(post(client, model="clip"), 404, "not_found")


def test_a_bad_picture_is_its_own_error(client):
    """As everywhere."""
    problem(post(client, input=RED_URI[:90]), 400, "invalid_image")
    problem(post(client, input="!!", modality="image"), 400, "invalid_image")


def test_half_a_surrogate_pair_is_answered(client):
    """It is a text like any other."""
    body = json.dumps({"input": ["red \ud800"]})
    response = client.post("/v1/embeddings", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 200
