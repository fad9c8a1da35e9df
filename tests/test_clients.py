"""Existing clients, as installed from their registries, against a running service."""

import base64
from collections.abc import Iterator

import httpx2
import huggingface_hub
import numpy as np
import openai
import pytest
from huggingface_hub import InferenceClient

from harness.server import Server
from tests.bundles import write_bundle
from tests.fakes import as_base64, as_bytes, picture

KEY = "a-key"
RED, BLUE = (f"data:image/png;base64,{as_base64(picture(colour))}" for colour in ("red", "blue"))


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    """A service with a key, in a separate process."""
    folder = tmp_path_factory.mktemp("clients")
    write_bundle(folder / "tiny")
    (folder / "labels.txt").write_text("red\nblue\n")
    with Server(model=folder / "tiny", labels=folder / "labels.txt", data=folder / "data", api_keys=KEY) as server:
        server.ready()
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def client(url) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as opened:
        yield opened


@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}], ids=str)
def test_openai_embeds_texts_and_pictures(client, form):
    """As floats and as base64, the client's default, red words are near a red picture."""
    answer = client.embeddings.create(model="tiny", input=["something red", RED, BLUE], **form)
    vectors = [each.embedding for each in answer.data]
    if form.get("encoding_format") == "base64":
        vectors = [np.frombuffer(base64.b64decode(each), "<f4") for each in vectors]
    text, red, blue = np.array(vectors)
    assert text @ red == pytest.approx(1, abs=1e-3)
    assert text @ blue < 0
    assert (answer.model, answer.object, answer.data[2].index) == ("tiny", "list", 2)
    assert answer.usage.total_tokens > 0


def test_openai_embeds_bare_base64_when_it_is_told_to(client):
    """`modality` is sent in `extra_body`."""
    bare = client.embeddings.create(model="tiny", input=RED.partition(",")[2], extra_body={"modality": "image"})
    assert bare.data[0].embedding == client.embeddings.create(model="tiny", input=RED).data[0].embedding


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"model": "clip", "input": "red"}, openai.NotFoundError, "'tiny' is served"),
        ({"model": "tiny", "input": [1, 2]}, openai.UnprocessableEntityError, "token arrays"),
        ({"model": "tiny", "input": "red " * 20}, openai.UnprocessableEntityError, "context length of 8 tokens"),
        ({"model": "tiny", "input": "red", "dimensions": 2}, openai.UnprocessableEntityError, "tiny has 3"),
        ({"model": "tiny", "input": RED[:80]}, openai.BadRequestError, "picture"),
    ],
)
def test_openai_raises_its_own_errors(client, request_, error, message):
    """Each of our errors becomes the client's matching class, with message and code."""
    with pytest.raises(error, match=message) as raised:
        client.embeddings.create(**request_)
    assert raised.value.request_id


def test_openai_with_a_wrong_key_is_an_authentication_error(url):
    """The client sends the key as a bearer token."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError, match="an API key is needed"):
        client.embeddings.create(model="tiny", input="red")


def test_hugging_face_classifies(url, tmp_path):
    """Bytes or a file work, with or without a template: the best label comes first."""
    client = InferenceClient(f"{url}/models/tiny", token=KEY)
    answer = client.zero_shot_image_classification(as_bytes(picture("red")), ["blue", "red"])
    assert [each.label for each in answer] == ["red", "blue"]
    assert sum(each.score for each in answer) == pytest.approx(1)
    picture("blue").save(tmp_path / "blue.png")
    answer = client.zero_shot_image_classification(
        tmp_path / "blue.png", candidate_labels=["blue", "red"], hypothesis_template="a {} thing"
    )
    assert answer[0].label == "blue"


def test_hugging_face_classifies_among_the_live_labels(url):
    """The client sends the raw image."""
    client = InferenceClient(f"{url}/models/tiny", token=KEY)
    assert client.image_classification(as_bytes(picture("red")))[0].label == "red"
    assert len(client.image_classification(as_bytes(picture("red")), top_k=1)) == 1


def test_openai_lists_the_model(client):
    """`models.list` and `models.retrieve` work."""
    assert [each.id for each in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").object == "model"


def test_clients_of_jinas_form_embed_objects(client, url):
    """Texts, images and both in one object, as `openai` sends them and as plain HTTP."""
    objects = [{"text": "red"}, {"image": RED.partition(",")[2]}, {"image": RED}, {"text": "red", "image": RED}]
    body = {"model": "tiny", "input": objects, "normalized": True, "embedding_type": "float", "task": None}
    response = httpx2.post(f"{url}/v1/embeddings", json=body, headers={"Authorization": f"Bearer {KEY}"})
    plain = [each["embedding"] for each in response.json()["data"]]
    assert np.array(plain) @ np.array(plain[0]) == pytest.approx([1] * 4, abs=1e-3)
    answer = client.embeddings.create(model="tiny", input=objects, encoding_format="float")
    assert [each.embedding for each in answer.data] == plain


@pytest.mark.parametrize(
    ("path", "key", "labels", "status"),
    [
        ("/models/tiny", "wrong", ["red", "blue"], 401),
        ("/models/openai/clip-vit-base-patch32", KEY, ["red", "blue"], 404),
        ("/models/tiny", KEY, ["red", "Red"], 422),
    ],
)
def test_hugging_face_raises_its_own_error(url, path, key, labels, status):
    """A wrong key, an unknown model and bad labels come as HfHubHTTPError with our status."""
    client = InferenceClient(f"{url}{path}", token=key)
    with pytest.raises(huggingface_hub.errors.HfHubHTTPError) as raised:
        client.zero_shot_image_classification(as_bytes(picture("red")), labels)
    assert raised.value.response.status_code == status
