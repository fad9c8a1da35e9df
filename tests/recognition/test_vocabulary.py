"""The label set: parsed, merged, live, and encoded no more than needed."""

import os

import numpy as np
import pytest
import structlog

from app.errors import InvalidLabels, StoreUnavailable
from app.pantry.sqlite.store import SQLitePantry
from app.recognition.label_file import LocalLabels
from app.recognition.vocabulary import Vocabulary, encode, read_prompts
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
    return Vocabulary(
        LocalLabels(label_file, settle_s=0), ["a photo of {}.", "{}"], pantry, ColourEncoder(), longest=200
    )


def names(labels) -> list[str]:
    return [label.name for label in labels]


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
    """A refresh without a change does nothing; a new item costs only its own prompts."""
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


def test_a_count_that_changes_makes_no_new_set(vocabulary, pantry):
    """A label file that is rewritten with the same text makes none either."""
    pantry.put("green", 1)
    vocabulary.refresh()
    before = vocabulary.current
    pantry.add("green", 5)
    pantry.remove("green", 2)
    assert not vocabulary.refresh()
    assert vocabulary.current is before


def test_the_same_labels_written_again_make_no_new_set(vocabulary, label_file):
    """For a file rewritten with the same labels the version stays, and nothing is logged."""
    vocabulary.refresh()
    before = vocabulary.current
    label_file.write_text("# the same labels\nred\nblue | azure\n")
    assert not vocabulary.refresh()
    assert vocabulary.current is before


def test_a_file_that_becomes_empty_keeps_its_labels(vocabulary, label_file, pantry):
    """An empty file counts as half written; the pantry is still followed, and the next labels are read."""
    vocabulary.refresh()
    label_file.write_text("")
    pantry.put("green", 1)
    assert vocabulary.refresh()
    assert names(vocabulary.current.labels) == ["red", "blue", "green"]
    label_file.write_text(" \n")
    assert not vocabulary.refresh()
    label_file.write_text("cyan\n")
    assert vocabulary.refresh()
    assert names(vocabulary.current.labels) == ["cyan", "green"]


def test_a_file_with_only_a_comment_has_no_labels(vocabulary, label_file, pantry):
    """This is how to remove all labels without a restart."""
    vocabulary.refresh()
    pantry.put("green", 1)
    label_file.write_text("# none\n")
    assert vocabulary.refresh()
    assert names(vocabulary.current.labels) == ["green"]


def test_a_label_is_found_by_any_of_its_names(vocabulary, pantry):
    """Synonyms, other spellings and items of the pantry lead to it; an unknown name leads to none."""
    pantry.put("green", 1)
    vocabulary.refresh()
    found = {name: vocabulary.current.find(name) for name in ("AZURE", "ｒｅｄ", "green", "brown")}
    assert {name: label and label.name for name, label in found.items()} == {
        "AZURE": "blue", "ｒｅｄ": "red", "green": "green", "brown": None
    }  # fmt: skip


def test_a_label_that_the_pantry_cannot_have_is_logged_with_its_line(vocabulary, label_file):
    """It is logged once when the file is read, and not again when the pantry changes."""
    label_file.write_text("red\ngreen / leaf\nsoft\xad drink\n")
    with structlog.testing.capture_logs() as logs:
        vocabulary.refresh()
        vocabulary._pantry.put("yellow", 1)
        vocabulary.refresh()
    told = [(each["line"], each["reason"]) for each in logs if "line" in each]
    assert [line for line, _ in told] == [2, 3]
    assert "U+002F SOLIDUS" in told[0][1]
    assert "U+00AD SOFT HYPHEN" in told[1][1]


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
    """Editors move a new file into place, possibly with the same size and time."""
    vocabulary.refresh()
    stat = label_file.stat()
    new = tmp_path / "new.txt"
    new.write_text("tan\nblue | azure\n")
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.replace(label_file)
    assert vocabulary.refresh()
    assert names(vocabulary.current.labels) == ["tan", "blue"]


def test_bad_labels_keep_the_set_that_was(vocabulary, label_file):
    """An unreadable label file is logged as an error, and the served labels stay."""
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
    """Labels stay while the pantry cannot be read, and are updated afterwards."""
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
    """An empty label set is valid, for instance before the first pantry item."""
    label_file.write_text("# nothing yet\n")
    vocabulary.refresh()
    assert vocabulary.current.labels == ()
    assert vocabulary.current.prototypes.shape == (0, 4)


def test_prompt_files_have_comments_too(tmp_path):
    """Templates and background prompts are the lines without comments; an empty file is an error."""
    path = tmp_path / "templates.txt"
    path.write_text("# templates\n\na photo of {}.\n {} \n")
    assert read_prompts(path) == ["a photo of {}.", "{}"]
    path.write_text("\ufeff# a byte order mark is no text\n{}\n")
    assert read_prompts(path) == ["{}"]
    path.write_text("# nothing\n")
    with pytest.raises(InvalidLabels, match="no lines"):
        read_prompts(path)
