"""The served OpenAPI document equals the committed one; `make snapshot` writes it again."""

import json
from pathlib import Path

from app.main import create_app
from app.settings import Settings
from tests.fakes import colour_model

SNAPSHOT = Path(__file__).parent / "openapi.json"


def document() -> dict:
    settings = Settings(pantry="none", contents="none")
    return create_app(settings, colour_model()).openapi()


def test_the_interface_is_the_committed_one():
    """A change of the interface is seen in review, as a change of tests/openapi.json."""
    assert document() == json.loads(SNAPSHOT.read_text())


def test_it_is_what_the_service_serves(client):
    """`GET /openapi.json` returns it."""
    assert client.get("/openapi.json").json() == json.loads(SNAPSHOT.read_text())


def test_bodies_and_answers_have_examples():
    """/docs shows an example of every request and response."""
    schemas = document()["components"]["schemas"]
    names = ("ProcessImage", "ProcessImageAnswer", "Classify", "ClassifyAnswer", "Embeddings", "EmbeddingsAnswer")
    assert all("examples" in schemas[name] for name in (*names, "ImageClassification", "LabelScore", "Error"))


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(document(), indent=1, sort_keys=True) + "\n")
    print(f"written: {SNAPSHOT}")
