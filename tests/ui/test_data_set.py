"""The page Data set."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.evaluation.cnn import Predictions
from app.evaluation.data import Pictures
from app.ui import data_sets
from tests.ui.conftest import button, named, said, sample

NAMES = ["banana", "lime", "carrots"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three pictures, each in its class's folder, and one file that is not a picture."""
    for name in NAMES:
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "0.jpg").write_bytes(sample(name))
    (tmp_path / "set" / "lime" / "broken.png").write_bytes(b"nothing")
    monkeypatch.setenv("LARDER_DATA_SET", str(tmp_path / "set"))
    return tmp_path / "set"


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """A parquet file of three pictures with an evaluation report; the CNN recognised all as the last class."""
    files, labels = [sample(name) for name in NAMES], [0, 1, 2]
    rows = pa.table({"image": [{"bytes": data, "path": None} for data in files], "label": labels})
    pq.write_table(rows, tmp_path / "test.parquet")
    digest = "0" * 16 + Pictures(files, np.array(labels)).digest()
    logits = np.float32([[0, 0, 3]] * 3)
    Predictions("resnet18", False, 32, 32, 1, 0.1, "", digest, logits, logits).save(tmp_path / "three-cnn.npz")
    report = {"title": "Three", "classes": NAMES, "contestants": [{"made": "“a photo of {}.”"}]}
    (tmp_path / "three.json").write_text(json.dumps(report))
    monkeypatch.setattr(data_sets, "EVALUATION", tmp_path)
    monkeypatch.setenv("LARDER_DATA_SET", str(tmp_path / "test.parquet"))


def test_without_a_data_set_the_page_says_how_to_name_one(larder, open_page):
    """The page shows instructions, not an error."""
    assert "LARDER_DATA_SET set to a parquet file" in said(open_page("data_set"))


@pytest.mark.parametrize(("name", "words"), [("missing", "neither a folder nor a parquet"), (".", "no pictures in")])
def test_what_cannot_be_read_is_a_sentence(larder, open_page, monkeypatch, tmp_path, name, words):
    """A missing path and a folder without pictures give a sentence."""
    monkeypatch.setenv("LARDER_DATA_SET", str(tmp_path / name))
    assert words in said(open_page("data_set"))


def test_a_picture_is_chosen_by_its_index(larder, open_page, folder):
    """The data set's class is next to the service's answer."""
    page = open_page("data_set")
    named(page.number_input, "Picture, from 0 to 3").set_value(1).run()
    assert any("By the data set: **carrots**" in each.value for each in page.caption)
    assert ">carrots<" in page.html[0].value
    assert any("CNN of the evaluation was not asked" in each.value for each in page.caption)


def test_a_broken_picture_in_it_is_a_sentence(larder, open_page, folder):
    """It is selected like any other, and the page says why it cannot be shown."""
    page = open_page("data_set")
    named(page.number_input, "Picture, from 0 to 3").set_value(3).run()
    assert "This picture cannot be read" in said(page)
    assert not page.exception


def test_the_cnn_stands_beside_larder(larder, open_page, evaluated):
    """Stored answers are matched by the pictures, and both choose among the same classes."""
    page = open_page("data_set")
    assert [each.value for each in page.header] == ["Three"]
    mine, cnn = (each.value for each in page.html)
    prompts = [f"a photo of {name}." for name in NAMES]
    found = larder.classify(sample("banana"), prompts)
    assert f"{found.result['a photo of banana.']:.1%}".replace("%", " %") in mine
    assert mine.index(">banana<") < mine.index(">lime<")
    assert cnn.index(">carrots<") < cnn.index(">banana<")
    assert f"{np.exp(3) / (np.exp(3) + 2):.1%}".replace("%", " %") in cnn


def test_the_set_is_searched_by_text_once_it_was_indexed(larder, open_page, folder):
    """Pictures that cannot be read are left out, the others are found, and a second visit needs no indexing."""
    page = button(open_page("data_set"), "Index the pictures")
    assert "3 of 4 pictures are indexed" in said(page)
    for each in (page, open_page("data_set")):
        named(each.text_input, "What to look for").set_value("carrots").run()
        best = next(caption.value for caption in each.caption if caption.value.startswith("Cosine"))
        assert best.endswith("carrots")
