"""Words in larder-small: any text has a sensible embedding."""

import numpy as np
import pytest

from app.evaluation.model import Measured, open_measured
from app.recognition.labels import parse_labels
from app.recognition.vocabulary import encode, read_prompts
from app.settings import Settings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return open_measured("larder-small", tmp_path_factory.mktemp("data"))


def nearest(model: Measured, text: str, among: list[str]) -> str:
    vectors = model.encoder.prompts([text, *among])
    return among[int((vectors[1:] @ vectors[0]).argmax())]


@pytest.mark.parametrize("text", ["DOG", "a photo of a dog.", "A picture of the dog", "a dog", "Dog."])
def test_case_and_prompt_change_nothing(model: Measured, text: str):
    """A word has the same embedding in capitals and in a prompt."""
    one, other = model.encoder.prompts(["dog", text])
    assert float(one @ other) > 0.99


@pytest.mark.parametrize(
    ("text", "among", "expected"),
    [
        ("dogs", ["dog", "car", "banana"], "dog"),
        ("a puppy", ["dog", "car", "banana"], "dog"),
        ("a kitten playing with wool", ["cat", "truck", "lemon"], "cat"),
        ("lorry", ["truck", "cat", "lemon"], "truck"),
        ("notebook computer", ["computer", "bird", "milk"], "computer"),
        ("sofa", ["chair", "bird", "juice"], "chair"),
    ],
)
def test_words_that_were_not_told_land_beside_those_that_were(
    model: Measured, text: str, among: list[str], expected: str
):
    """Plurals, similar words and sentences are nearest to their meaning."""
    assert nearest(model, text, among) == expected


@pytest.mark.parametrize("text", ["Hund", "狗", "собака", "🐕", "x" * 200, "?!", "freedom and justice for all"])
def test_no_text_breaks_it(model: Measured, text: str):
    """Other languages, symbols and abstract words also give a unit embedding."""
    (vector,) = model.encoder.prompts([text])
    assert np.isfinite(vector).all()
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-4)


def test_a_text_alone_is_the_text_in_a_batch(model: Measured):
    """Padding next to a longer text makes no significant difference."""
    alone = model.encoder.texts(["lemon"])[0]
    beside = model.encoder.texts(["lemon", "a very long text about lemons and many other things " * 3])[0]
    assert float(alone @ beside) > 0.999


def test_a_label_of_the_user_is_no_rival_of_itself(model: Measured):
    """With "dog" among the labels fewer of the bundle's everyday things speak against them, yet most still do."""
    settings = Settings()
    templates, prompts = read_prompts(settings.templates), read_prompts(settings.background)
    labels = parse_labels(settings.labels.read_text(encoding="utf-8"), settings.max_label_length, lambda *_: None)
    names, background = [label.names for label in labels], model.background(prompts)
    before, after = (background.beside(encode(some, templates, model.encoder)) for some in (names, [*names, ("dog",)]))
    assert 700 < len(after) < len(before) - 80
