"""Background embeddings: what pictures may show instead of the labels."""

from pathlib import Path

import numpy as np

from app.model.encoder import unit
from app.recognition.background import Background
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import Recogniser

BEAGLE, TERRIER, CHAIR, APPLE = np.eye(4, dtype=np.float32)
DOG = np.float32([0.7, 0.7, 0, 0.14])
THINGS = Background(np.stack([BEAGLE, TERRIER, CHAIR]), near=0.5)


def known(picture: np.ndarray, label: np.ndarray, rivals: np.ndarray) -> bool | None:
    labels = LabelSet((Label("a label"),), label[None], "1", rivals=rivals)
    return Recogniser(labels, 10.0, known_margin=0.1).recognise(picture, top_k=1, threshold=0.8).known


def test_words_alone_tell_the_labels_from_the_rest():
    """The labels' share is that of one softmax over labels and background, for any number of either."""
    rng = np.random.default_rng(5)
    pictures, labels, nouns = (unit(rng.normal(size=(n, 8)).astype(np.float32)) for n in (60, 5, 40))
    rivals = Background(nouns, nearest=0.25).beside(labels)
    assert len(rivals) == 30
    label_set = LabelSet(tuple(map(Label, "abcde")), labels, "1", rivals=rivals)
    recogniser = Recogniser(label_set, 10.0, known_margin=None)
    found = [recogniser.recognise(picture, top_k=1, threshold=0.8).known for picture in pictures]
    powers = [(np.exp(10 * labels @ picture).sum(), np.exp(10 * rivals @ picture).sum()) for picture in pictures]
    assert found == [ours > theirs for ours, theirs in powers]
    assert {True, False} == set(found)


def test_a_thing_that_a_label_names_is_no_rival_of_it():
    """With the label "dog" a beagle is known, with the label "apple" it is not."""
    assert known(BEAGLE, DOG, THINGS.beside(DOG[None]))
    assert not known(BEAGLE, APPLE, THINGS.beside(APPLE[None]))


def test_another_thing_stays_a_rival():
    """With the label "dog" a chair is not known."""
    assert not known(CHAIR, DOG, THINGS.beside(DOG[None]))


def test_without_a_nearness_everything_is_a_rival():
    """Prompts alone, of whose nearness nothing is known, all stay."""
    assert len(Background(THINGS.embeddings).beside(DOG[None])) == 3


def test_labels_that_name_every_thing_leave_no_rival():
    """A picture is known by its label where nothing else is left that it could show."""
    rivals = THINGS.beside(THINGS.embeddings)
    assert rivals.shape == (0, 4)
    assert known(BEAGLE, DOG, rivals)


def test_many_labels_are_compared_in_turns_with_the_same_result():
    """The embeddings left by 3,000 labels are those that a plain loop leaves."""
    rng = np.random.default_rng(0)
    some = [rng.normal(size=(count, 8)).astype(np.float32) for count in (50, 3000)]
    things, labels = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in some)
    expected = [thing for thing in things if max(float(label @ thing) for label in labels) < 0.9]
    assert 0 < len(expected) < 50
    assert np.array_equal(Background(things, 0.9).beside(labels), np.array(expected))


def test_no_labels_leave_everything():
    """Without labels nothing is left out."""
    assert len(THINGS.beside(np.empty((0, 4), np.float32))) == 3


def test_it_is_read_as_it_was_written(tmp_path: Path):
    """The file has the embeddings in 16 bits and the nearness."""
    THINGS.save(tmp_path / "background.npz")
    read = Background.load(tmp_path / "background.npz")
    assert np.array_equal(read.embeddings, THINGS.embeddings)
    assert read.near == 0.5


def test_prompts_come_on_top():
    """The prompts of the background file are added to the model's."""
    assert len(THINGS.with_prompts(DOG[None]).embeddings) == 4


def test_a_part_alone_says_what_is_named():
    """Things that differ in what they look like are named by a label of their kind."""
    things = Background(np.float32([[0.8, 0, 0.6, 0], [0, 0.8, 0.6, 0], [0.8, 0, 0, 0.6]]), near=0.9, part=2)
    assert things.beside(np.float32([[0, 0, 1, 0]])).tolist() == [things.embeddings[2].tolist()]
    assert things.with_prompts(DOG[None]).part == 2
