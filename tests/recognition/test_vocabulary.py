"""The label set: parsed, merged, live, and encoded no more than needed."""

import os

import numpy as np
import pytest

from app.errors import InvalidLabels, StoreUnavailable
from app.pantry.sqlite import SQLitePantry
from app.recognition.label_file import LocalLabels
from app.recognition.vocabulary import Label, Vocabulary, encode, merge, parse_labels, read_prompts
from tests.fakes import ColourEncoder


@pytest.fixture
def pantry(tmp_path):
    store = SQLitePantry(tmp_path / "pantry.sqlite")
    yield store
    store.close()


@pytest.fixture
def label_file(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("red\nblue | azure\n")
    return path


@pytest.fixture
def vocabulary(label_file, pantry):
    return Vocabulary(LocalLabels(label_file), ["a photo of {}.", "{}"], pantry, ColourEncoder(), longest=200)


def names(labels) -> list[str]:
    return [label.name for label in labels]


def test_a_label_file_is_forgiving():
    """Comments, blank lines, a byte order mark, Windows line ends and stray bars are all right."""
    text = "\ufeff# fruit\r\n\r\n  red   apple # ripe\r\n|| banana |\r\nno 7#2\r\n"
    assert names(parse_labels(text, 200)) == ["red apple", "banana", "no 7#2"]


def test_case_and_spacing_make_no_new_label():
    """`soy Sauce`, `Soy  sauce` and `soy sauce` are one label, with the spelling that came first."""
    assert names(parse_labels("soy Sauce\nSoy  sauce\nsoy sauce", 200)) == ["soy Sauce"]


def test_synonyms_belong_to_the_label_that_named_them_first():
    """A later line whose name is known adds its new names to that label."""
    labels = parse_labels("chickpeas | garbanzo\nGarbanzo | ceci\nrice", 200)
    assert [label.names for label in labels] == [("chickpeas", "garbanzo", "ceci"), ("rice",)]


def test_an_over_long_label_names_its_line():
    """The error says which line is too long, and what is allowed."""
    with pytest.raises(InvalidLabels, match="line 2 .*at most 5 characters"):
        parse_labels("rice\ntomato", 5)


def test_file_first_then_the_pantry_by_name():
    """The order is the file's, then the pantry's items by name, and each knows where it comes from."""
    merged = merge([Label("tuna"), Label("soy Sauce", ("shoyu",))], ["zucchini", "soy sauce", "apple"])
    assert [(label.name, label.sources) for label in merged] == [
        ("tuna", ("file",)),
        ("soy Sauce", ("file", "pantry")),
        ("apple", ("pantry",)),
        ("zucchini", ("pantry",)),
    ]


def test_an_item_that_a_synonym_names_is_that_label():
    """A pantry item does not compete with the label that has it as a synonym."""
    assert merge([Label("chickpeas", ("garbanzo",))], ["garbanzo"])[0].sources == ("file", "pantry")


def test_a_prototype_is_the_mean_over_names_and_templates():
    """The fast mean equals the slow one, for labels of one, two and three names."""
    encoder, templates = ColourEncoder(), ["a photo of {}.", "{} thing", "white {}"]
    labels = [("red",), ("blue", "cyan"), ("green", "yellow", "grey")]
    slow = []
    for label in labels:
        mean = np.mean([encoder.prompts([t.replace("{}", name)])[0] for name in label for t in templates], axis=0)
        slow.append(mean / np.linalg.norm(mean))
    assert np.abs(encode(labels, templates, encoder) - np.array(slow)).max() < 1e-6


def test_nothing_is_encoded_twice(vocabulary, label_file, pantry):
    """A refresh with no change does nothing; a new item costs its own prompts; the others keep their vectors."""
    encoder = vocabulary._encoder
    assert vocabulary.refresh()
    assert len(encoder.prompts_seen) == 6
    before = vocabulary.current
    assert not vocabulary.refresh()
    assert vocabulary.current is before
    encoder.prompts_seen.clear()
    pantry.put("green", 1)
    assert vocabulary.refresh()
    assert encoder.prompts_seen == ["a photo of green.", "green"]
    assert names(vocabulary.current.labels) == ["red", "blue", "green"]
    assert (vocabulary.current.prototypes[:2] == before.prototypes).all()
    assert vocabulary.current.version != before.version


def test_a_count_that_changes_encodes_nothing(vocabulary, pantry):
    """Counts are no labels."""
    pantry.put("green", 1)
    vocabulary.refresh()
    vocabulary._encoder.prompts_seen.clear()
    pantry.add("green", 5)
    vocabulary.refresh()
    assert vocabulary._encoder.prompts_seen == []


def test_another_process_is_seen(vocabulary, pantry, tmp_path):
    """An item that another process stores becomes a label."""
    vocabulary.refresh()
    other = SQLitePantry(tmp_path / "pantry.sqlite")
    other.put("green", 2)
    assert vocabulary.refresh()
    assert names(vocabulary.current.labels) == ["red", "blue", "green"]
    other.delete("green")
    assert vocabulary.refresh()
    assert names(vocabulary.current.labels) == ["red", "blue"]
    other.close()


def test_a_file_replaced_whole_is_seen(vocabulary, label_file, tmp_path):
    """Editors write a new file and move it into place; also when size and time stay the same."""
    vocabulary.refresh()
    stat = label_file.stat()
    new = tmp_path / "new.txt"
    new.write_text("tan\nblue | azure\n")
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.replace(label_file)
    assert vocabulary.refresh()
    assert names(vocabulary.current.labels) == ["tan", "blue"]


def test_bad_labels_keep_the_set_that_was(vocabulary, label_file):
    """A label file that becomes unreadable is an error to log, and the labels served stay."""
    vocabulary.refresh()
    before = vocabulary.current
    label_file.write_text("x" * 201)
    with pytest.raises(InvalidLabels):
        vocabulary.refresh()
    label_file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InvalidLabels):
        vocabulary.refresh()
    label_file.unlink()
    with pytest.raises(InvalidLabels):
        vocabulary.refresh()
    assert vocabulary.current is before
    label_file.write_text("green\n")
    assert vocabulary.refresh()


def test_a_pantry_that_is_away_keeps_the_set_that_was(vocabulary, label_file, pantry, monkeypatch):
    """Labels are served on while the pantry cannot be read, and catch up when it is back."""
    vocabulary.refresh()
    before = vocabulary.current
    label_file.write_text("green\n")

    def away():
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(pantry, "items", away)
        with pytest.raises(StoreUnavailable):
            vocabulary.refresh()
    assert vocabulary.current is before
    assert vocabulary.refresh()
    assert names(vocabulary.current.labels) == ["green"]


def test_an_empty_label_file_is_an_empty_set(vocabulary, label_file):
    """No labels is a state to be in, for instance before the first pantry item."""
    label_file.write_text("# nothing yet\n")
    vocabulary.refresh()
    assert vocabulary.current.labels == ()
    assert vocabulary.current.prototypes.shape == (0, 4)


def test_prompt_files_have_comments_too(tmp_path):
    """Templates and background prompts are the lines that are no comments; none at all is an error."""
    path = tmp_path / "templates.txt"
    path.write_text("# templates\n\na photo of {}.\n {} \n")
    assert read_prompts(path) == ["a photo of {}.", "{}"]
    path.write_text("# nothing\n")
    with pytest.raises(InvalidLabels, match="no lines"):
        read_prompts(path)
