"""Users' own pictures are read, and unreadable ones are reported."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import TrainingError
from app.training.sources import read_class_list, read_examples
from tests.training.conftest import EACH


def test_the_same_pictures_come_from_every_kind_of_source(folder: Path, parquet: Path, table: Path):
    """A folder, a parquet file and a CSV file give the same pixels and numbers, each with its texts."""
    one, two, three = (read_examples(source, 16) for source in (folder, parquet, table))
    assert one.texts == two.texts == ["banana", "cucumber", "red bell pepper"]
    assert three.texts == ["a heap of banana", "a heap of cucumber", "a heap of red-bell-pepper"]
    assert one.pictures.labels.tolist() == [label for label in range(3) for _ in range(EACH)]
    for other in (two, three):
        np.testing.assert_array_equal(one.pictures.pixels, other.pictures.pixels)
        np.testing.assert_array_equal(one.pictures.labels, other.pictures.labels)


def test_broken_pictures_are_named_and_left_out(table: Path, capsys: pytest.CaptureFixture[str]):
    """A truncated file, a text and a missing file cost three pictures, not the training."""
    folder = table.parent
    whole = (folder / "banana/0.png").read_bytes()
    (folder / "banana/0.png").write_bytes(whole[: len(whole) // 2])
    (folder / "cucumber/1.png").write_text("no picture")
    (folder / "cucumber/2.png").unlink()
    assert read_examples(table, 16).pictures.labels.tolist() == [0] * 7 + [1] * 6 + [2] * 8
    told = capsys.readouterr().err
    assert [name in told for name in ("banana/0.png", "cucumber/1.png", "cucumber/2.png")] == [True] * 3


def test_a_class_list_is_lines_or_a_table(tmp_path: Path):
    """Names come in the order of their numbers, in plain words."""
    (tmp_path / "some.txt").write_text("Passion-Fruit\nplum\n")
    (tmp_path / "some.csv").write_text("label,name\n1,plum\n0,Passion-Fruit\n")
    assert read_class_list(tmp_path / "some.txt") == read_class_list(tmp_path / "some.csv") == ["passion fruit", "plum"]


def test_an_empty_folder_is_refused(tmp_path: Path):
    """The error is immediate."""
    with pytest.raises(TrainingError, match="has 0 classes or captions; at least 2"):
        read_examples(tmp_path, 16)


def test_a_folder_without_a_readable_picture_is_refused(folder: Path):
    """If every picture is broken there is nothing to train on."""
    for path in folder.glob("*/*.png"):
        path.write_text("no picture")
    with pytest.raises(TrainingError, match="no picture that can be read"):
        read_examples(folder, 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,caption\na.png,plum\n", "has the columns file, caption; needed are path and caption"),
        ("", "has the columns none"),
        ("path,caption\na.png,plum\nb.png,\n", "line 3: path and caption are needed"),
        ("path,caption\na.png,plum\n", "has 1 classes or captions"),
    ],
)
def test_a_wrong_csv_file_is_refused(tmp_path: Path, text: str, message: str):
    """The message names what was found and what is needed."""
    (tmp_path / "some.csv").write_text(text)
    with pytest.raises(TrainingError, match=message):
        read_examples(tmp_path / "some.csv", 16)


def test_a_wrong_parquet_file_is_refused(parquet: Path):
    """A missing or short class list, a missing column and another format have different errors."""
    parquet.with_name("classes.txt").write_text("banana\ncucumber\n")
    with pytest.raises(TrainingError, match="has the label 2; the class list has names for 0 to 1"):
        read_examples(parquet, 16)
    parquet.with_name("classes.txt").unlink()
    with pytest.raises(TrainingError, match="needs a class list"):
        read_examples(parquet, 16)
    pq.write_table(pa.table({"picture": [1]}), parquet)
    with pytest.raises(TrainingError, match="has the columns picture; needed are image and label"):
        read_examples(parquet, 16)
    parquet.write_text("no parquet")
    with pytest.raises(TrainingError, match="cannot be read as parquet"):
        read_examples(parquet, 16)


@pytest.mark.parametrize("name", ["nothing", "some.zip"])
def test_other_sources_are_refused(tmp_path: Path, name: str):
    """The message lists what a source may be."""
    with pytest.raises(TrainingError, match=r"a folder of one folder a class, a .parquet file or a .csv file"):
        read_examples(tmp_path / name, 16)
