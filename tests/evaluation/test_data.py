"""Labelled pictures are read from parquet files and folders alike, and invalid input is reported."""

import numpy as np
import pytest

from app.errors import EvaluationError
from app.evaluation.data import Pictures, hold_out, read_classes, read_files, read_pictures, read_splits
from app.recognition.labels import Label
from tests.evaluation.conftest import CLASSES, speckled

LABELS = [Label(name) for name in CLASSES]


def folders(place, **pictures):
    """A folder for each class, with this many pictures in each."""
    for name, count in pictures.items():
        (place / name).mkdir(parents=True)
        for number in range(count):
            (place / name / f"{number}.png").write_bytes(speckled(name, number))
        (place / name / "notes.txt").write_text("no picture")
    return place


def test_a_parquet_file_has_pictures_and_numbers(parquet):
    """Rows keep their order."""
    found = read_pictures([parquet("a.parquet", 2)], LABELS)
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.files[2] == speckled("green", 97)


def test_a_folder_has_a_folder_a_class(tmp_path):
    """Folders are matched with the class list by name, in any case; other files are left out."""
    found = read_pictures([folders(tmp_path / "p", blue=2, red=1)], [Label("Red"), Label("x", ("BLUE",))])
    assert found.labels.tolist() == [1, 1, 0]
    assert found.files[2] == speckled("red", 0)


def test_without_a_class_list_the_folders_names_are_the_classes(tmp_path):
    """Classes are in alphabetical order."""
    train = folders(tmp_path / "train", red=20, blue=20)
    splits = read_splits([train], [], [folders(tmp_path / "test", blue=1)])
    assert [label.name for label in splits.classes] == ["blue", "red"]
    assert splits.test.labels.tolist() == [0]


def test_who_gives_no_validation_pictures_has_a_tenth_held_out():
    """Each picture is in one part, and the random choice is reproducible."""
    pictures = Pictures([bytes([n]) for n in range(50)], np.arange(50))
    learn, decide = hold_out(pictures)
    assert len(decide.files) == 5
    assert sorted(learn.files + decide.files) == pictures.files
    assert decide.labels.tolist() == [file[0] for file in decide.files]
    assert decide.labels.tolist() == hold_out(pictures)[1].labels.tolist() != [0, 10, 20, 30, 40]


def test_only_classes_that_training_shows_are_classes(parquet, class_list):
    """The rest of the class list is there for the service's labels."""
    two = ("red", "green")
    files = [[parquet(f"{name}.parquet", 2, seed, two)] for seed, name in enumerate(("train", "val", "test"))]
    splits = read_splits(*files, class_list)
    assert [label.name for label in splits.classes] == ["red", "green"]
    assert [label.name for label in splits.labels] == list(CLASSES)
    with pytest.raises(EvaluationError, match="no training picture shows 'yellow'"):
        read_splits(files[0], files[1], [parquet("more.parquet", 1)], class_list)


def test_a_class_list_is_a_label_file_or_a_table(tmp_path):
    """Synonyms stay with their label; a table's names become plain words."""
    (tmp_path / "a.txt").write_text("# colours\nred | crimson\ngreen\n")
    (tmp_path / "a.csv").write_text("label,name\n0,Dark-Red\n1,Green\n")
    assert [label.names for label in read_classes(tmp_path / "a.txt")] == [("red", "crimson"), ("green",)]
    assert [label.name for label in read_classes(tmp_path / "a.csv")] == ["dark red", "green"]


@pytest.mark.parametrize(
    ("text", "message"), [("number,name\n0,red\n", "columns label and name"), ("label,name\n1,red\n", "not 0, 1, 2")]
)
def test_a_table_of_another_form_is_refused(tmp_path, text, message):
    """The columns and the numbers must be there."""
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        read_classes(tmp_path / "a.csv")


def test_what_cannot_be_read_is_named(tmp_path, parquet):
    """A missing file, another format, an unknown class and an empty folder each give a one-line error."""
    missing, text = tmp_path / "missing.parquet", tmp_path / "text.parquet"
    text.write_text("no parquet")
    for path, message in (
        (missing, "missing.parquet is neither a parquet file nor a folder"),
        (text, "text.parquet is not a parquet file with a column label"),
        (parquet("many.parquet", 1), "many.parquet has the unknown class 2; the class list has 0 to 1"),
        (folders(tmp_path / "p", cyan=1), "unknown class 'cyan'"),
        (folders(tmp_path / "q", red=0), "no pictures in"),
    ):
        with pytest.raises(EvaluationError, match=message):
            read_pictures([path], LABELS[:2])
    with pytest.raises(EvaluationError, match="the class list .*missing.parquet cannot be read"):
        read_classes(missing)
    with pytest.raises(EvaluationError, match="needs a class list, --classes FILE"):
        read_splits([text], [], [text])


def test_pictures_without_labels_lie_at_any_depth(tmp_path, parquet):
    """A folder is searched, a parquet file read by its picture column."""
    assert len(read_files(folders(tmp_path / "p", red=2, blue=1))) == 3
    assert read_files(parquet("a.parquet", 1))[1] == speckled("green", 97)
    with pytest.raises(EvaluationError, match="no pictures"):
        read_files(folders(tmp_path / "q", red=0))


def test_a_byte_order_mark_is_no_part_of_a_class_list(tmp_path):
    """Spreadsheets write one in front of the heading."""
    path = tmp_path / "classes.csv"
    path.write_bytes(b"\xef\xbb\xbflabel,name\r\n0,Granny-Smith\r\n1,Leek\r\n")
    assert [label.name for label in read_classes(path)] == ["granny smith", "leek"]
