"""`python -m app classify` answers without a server."""

import json
from pathlib import Path

import pytest

from app.__main__ import main
from tests.bundles import write_bundle
from tests.fakes import picture


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a bundle, labels and two pictures, as the environment names them."""
    write_bundle(tmp_path / "models" / "tiny")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/pantry.txt").write_text("red\nblue\n")
    (tmp_path / "labels/templates.txt").write_text("{}\n")
    (tmp_path / "labels/background.txt").write_text("white\nblack\n")
    picture("red").save(tmp_path / "red.png")
    picture("blue").save(tmp_path / "blue.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LARDER_MODEL", "tiny")
    return tmp_path


def test_the_label_file_and_the_pantry_are_the_labels(folder, capsys):
    """Without --labels the labels are the service's."""
    assert main(["classify", "red.png", "blue.jpg", "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["picture"], each["item"], each["confident"]) for each in answers] == [
        ("red.png", "red", True),
        ("blue.jpg", "blue", True),
    ]
    assert answers[0]["label_count"] == 2


def test_labels_can_be_given(folder, capsys):
    """--labels a,b,c replaces them, and --top-k limits the list."""
    assert main(["classify", "red.png", "--labels", "green, magenta,blue", "--top-k", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["item"] == "magenta"
    assert len(answer["top_k_items"]) == 2


def test_for_people_it_is_a_table(folder, capsys):
    """Without --json the answer is lines to read."""
    assert main(["classify", "red.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "red.png: red (confident)"
    assert "100.00%" in lines[1]
    assert lines[1].endswith("red")


def test_categories_are_answered(folder, capsys):
    """A label's categories have the API's field names; the text output shows the sure one."""
    (folder / "labels/pantry.txt").write_text("red @ warm\nblue @ cold\n")
    assert main(["classify", "red.png", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["category"], answer["confident_category"]) == ("warm", "warm")
    assert answer["category_probability"] > 0.99
    assert main(["classify", "red.png"]) == 0
    assert capsys.readouterr().out.startswith("red.png: red (confident; category warm)\n")


def test_at_least_one_label_is_named(folder, capsys):
    """An empty list is a one-line error with exit status 2."""
    assert main(["classify", "red.png", "--top-k", "0"]) == 2
    assert capsys.readouterr().err == "larder: --top-k: 0 was found; it must be at least 1\n"


def test_a_bad_picture_does_not_stop_the_others(folder, capsys):
    """Unreadable pictures are reported on standard error, the rest is answered, and the exit status is 1."""
    (folder / "broken.png").write_bytes(b"no picture")
    assert main(["classify", "broken.png", "missing.png", "red.png"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("red.png: red")
    assert "broken.png: the bytes are not a picture" in printed.err
    assert "missing.png: No such file" in printed.err


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("LARDER_MODEL", "huge", "no model bundle 'huge'"),
        ("LARDER_PORT", "x", "LARDER_PORT: 'x' was found"),
        ("LARDER_TEMPLATES", "none.txt", "none.txt cannot be read"),
    ],
)
def test_what_stops_it_is_one_line(folder, capsys, monkeypatch, variable, value, message):
    """A wrong setting or a missing file is one line and exit status 2, never a traceback."""
    monkeypatch.setenv(variable, value)
    assert main(["classify", "red.png"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("larder: ")
    assert message in error
    assert error.count("\n") == 1


def test_no_labels_is_said(folder, capsys):
    """An empty --labels is an error."""
    assert main(["classify", "red.png", "--labels", " , "]) == 2
    assert "--labels: no label was found" in capsys.readouterr().err
