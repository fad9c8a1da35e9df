"""Corrections become training data: each entry independently, under names that every file system accepts."""

import base64
import json

import numpy as np
import pytest

from app.__main__ import main
from app.errors import InvalidRequest
from app.images.header import ImageLimits
from app.serving.feedback import Answer, Feedback, export, safe_name
from app.training.sources import read_examples
from tests.fakes import as_base64, picture

VECTOR = np.array([1, 0, 0], np.float32)
ODD = [
    "果" * 150,
    "x" * 200,
    "..",
    ".",
    "_..",
    ".hidden",
    "con",
    "con.txt",
    "lpt1",
    "a:b",
    "a\\b",
    "a?b",
    "a*b",
    "a<b>",
    'a"b',
    "a|b",
    "ends with a dot.",
    "ends with a blank ",
    "CREME",
    "creme",
    "crème",
    "cre\u0300me",
    "_a:b",
    "coca-cola",
    "red apple",
]


@pytest.fixture
def feedback(tmp_path):
    feedback = Feedback(tmp_path / "feedback.sqlite")
    yield feedback
    feedback.close()


def keep(feedback, request, item, *pictures):
    feedback.keep(request, Answer("red", [VECTOR] * len(pictures), list(pictures)), item, "model")


def test_names_differ_on_every_disk():
    """Names have at most 255 bytes and differ under case folding and composition; none is reserved."""
    names = [safe_name(text) for text in ODD]
    assert len({name.casefold() for name in names}) == len(ODD)
    for name in names:
        assert 0 < len(name.encode()) <= 255
        assert not set(name) & set('<>:"/\\|?*'), name
        assert name.partition(".")[0] not in ("", "con", "lpt1"), name
        assert not name.endswith((".", " ")), name
    assert safe_name("red apple") == "red apple"


def test_every_item_is_found_again_by_the_training(feedback, tmp_path):
    """An item whose name is no valid folder name has it in a file next to the pictures; other names are unchanged."""
    for number, item in enumerate(ODD):
        keep(feedback, f"r{number}", item, as_base64(picture("red")))
    folder = tmp_path / "exported"
    done = export(feedback, folder, ImageLimits())
    assert (done.pictures, done.failures) == (len(ODD), [])
    assert len(list(folder.iterdir())) == len(ODD)
    assert sorted(read_examples(folder, 8).texts) == sorted({*ODD} - {"coca-cola"} | {"coca cola"})


def test_an_entry_that_fails_fails_alone(feedback, tmp_path, monkeypatch, capsys):
    """A picture in a format that is no longer accepted is reported; the others are written, with exit status 1."""
    keep(feedback, "good", "quince", as_base64(picture("yellow")), as_base64(picture("red")))
    keep(feedback, "broken", "quince", base64.b64encode(b"GIF89a of another time").decode())
    keep(feedback, "nothing", "quince")
    folder = tmp_path / "exported"
    monkeypatch.setenv("LARDER_DATA", str(tmp_path))
    monkeypatch.setenv("LARDER_FORMATS", "PNG")
    assert main(["feedback", "export", str(folder), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"folder": str(folder), "pictures": 2, "without_picture": 0, "failed": 1}
    assert err.startswith("the picture 0 of request broken ('quince'): ")


def test_a_file_in_the_way_of_one_item_is_blamed_for_that_item(feedback, tmp_path):
    """The line names the entry, not the folder, and the other items are written."""
    for item in ("quince", "pear"):
        keep(feedback, f"of {item}", item, as_base64(picture("yellow")))
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "quince").write_text("in the way")
    done = export(feedback, folder, ImageLimits())
    assert done.pictures == 1
    assert done.failures == ["the picture 0 of request of quince ('quince'): File exists"]
    assert list((folder / "pear").iterdir())


def test_a_folder_that_cannot_be_written_is_blamed_itself(feedback, tmp_path):
    """A path below a file is not writable, which ends the export."""
    keep(feedback, "r", "quince", as_base64(picture("yellow")))
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="file/exported cannot be written: Not a directory"):
        export(feedback, tmp_path / "file" / "exported", ImageLimits())


def test_ids_that_differ_in_case_alone_are_two_files(feedback, tmp_path):
    """On a case-insensitive file system no picture replaces another."""
    for request in ("Order-1", "order-1", "CON", "con"):
        keep(feedback, request, "quince", as_base64(picture("yellow")))
    export(feedback, tmp_path / "exported", ImageLimits())
    names = [path.name.casefold() for path in (tmp_path / "exported" / "quince").iterdir()]
    assert len(names) == len(set(names)) == 4
