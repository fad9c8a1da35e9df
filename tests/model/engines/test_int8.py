"""The int8 picture tower: its accuracy and time are measured and stored, and `auto` uses them."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from app.errors import EngineError
from app.model.bundle import open_bundle
from app.model.engines import CLOSE
from app.model.engines.choice import open_engine
from app.model.engines.int8 import kept_int8, open_int8
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.model.probes import probe_pictures
from tests.bundles import write_bundle, write_products

INT8 = "onnxruntime int8"


@pytest.fixture
def bundle(tmp_path):
    return open_bundle(write_products(tmp_path / "products"))


@pytest.fixture
def outlier(tmp_path):
    """A bundle with low int8 accuracy: one value between its products is a thousand times the others."""
    return open_bundle(write_products(tmp_path / "outlier", outlier=1000))


def with_price(bundle, data, **changes):
    """Change the stored figures of the kept graph; returns the data folder."""
    graph, _ = kept_int8(bundle, 1, data / "int8")
    note = graph.with_suffix(".json")
    note.write_text(json.dumps(json.loads(note.read_text()) | changes))
    return data


def auto(bundle, data, bfloat16=False):
    """Return the engine that `auto` chooses, on a processor with or without bfloat16."""
    return open_engine("auto", bundle, 1, data, bfloat16=bfloat16, int8_from_bytes=0).name


def test_the_price_is_what_a_slow_look_finds(bundle, tmp_path):
    """Least and mean cosine of 64 pictures, one by one, between the int8 graph and float32."""
    graph, price = kept_int8(bundle, 1, tmp_path / "int8")
    assert b"MatMulInteger" in graph.read_bytes()
    int8, exact = open_int8(bundle, 1, graph), OnnxRuntimeEngine(bundle, 1)
    found = []
    for picture in probe_pictures(bundle.config.image_form):
        [one], [other] = (engine.encode_pixels(picture[None]) for engine in (int8, exact))
        found.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    assert len(found) == 64
    assert 0.99 < min(found) < 1
    # a batch shares one range of activations, so its embeddings differ a little from those of a picture alone
    assert (price.least_cosine, price.mean_cosine) == pytest.approx((min(found), np.mean(found)), abs=2e-3)


def test_it_is_made_once(bundle, tmp_path, caplog):
    """A second start reads the same graph and the same price, and the text tower is float32; the quantiser is quiet."""
    caplog.set_level("INFO", logger="root")
    graph, price = kept_int8(bundle, 1, tmp_path / "int8")
    assert not [record for record in caplog.records if record.name == "root"]
    made = graph.stat().st_mtime_ns
    assert kept_int8(bundle, 1, tmp_path / "int8") == (graph, price)
    assert graph.stat().st_mtime_ns == made
    tokens = np.arange(8)[None]
    exact = OnnxRuntimeEngine(bundle, 1).encode_tokens(tokens)
    assert np.array_equal(open_int8(bundle, 1, graph).encode_tokens(tokens), exact)


@pytest.mark.parametrize("damage", ["cut", "of another", "note of another", "no JSON", "no price"])
def test_a_graph_that_is_not_the_kept_one_is_refused_and_made_again(bundle, outlier, tmp_path, damage):
    """A truncated graph, another bundle's, or one with unreadable figures is not used, and is made again."""
    (graph, _), (other, _) = (kept_int8(each, 1, tmp_path / "int8") for each in (bundle, outlier))
    note, content = graph.with_suffix(".json"), graph.read_bytes()
    if damage == "cut":
        graph.write_bytes(content[:-100])
    if damage in ("of another", "note of another"):
        graph.write_bytes(other.read_bytes())
    if damage == "note of another":
        note.write_bytes(other.with_suffix(".json").read_bytes())
    if damage == "no JSON":
        note.write_text("{")
    if damage == "no price":
        note.write_text("{}")
    _, price = kept_int8(bundle, 1, tmp_path / "int8")
    assert graph.read_bytes() == content
    assert price.least_cosine > 0.99


def test_the_user_may_take_what_auto_refuses(outlier, tmp_path, capsys):
    """Below the gate it serves when it is named, and the start says its price; `auto` takes float32."""
    assert open_engine("onnxruntime-int8", outlier, 1, tmp_path).name == INT8
    _, price = kept_int8(outlier, 1, tmp_path / "int8")
    assert price.least_cosine < CLOSE
    assert str(price) in capsys.readouterr().out
    fast = with_price(outlier, tmp_path, int8_ms=[1, 1], float32_ms=[2, 2])
    assert auto(outlier, fast) != INT8


def test_auto_takes_int8_that_is_close_and_fast(bundle, tmp_path):
    """Without bfloat16, at 0.999 and half the time; not with bfloat16, not below, not for a fifth less time."""
    good = {"least_cosine": 0.9991, "mean_cosine": 0.9995, "int8_ms": [1, 1], "float32_ms": [2, 2]}
    data = with_price(bundle, tmp_path, **good)
    assert auto(bundle, data) == INT8
    assert auto(bundle, data, bfloat16=True) != INT8
    assert auto(bundle, with_price(bundle, data, least_cosine=0.9989)) != INT8
    assert auto(bundle, with_price(bundle, data, **good | {"int8_ms": [1, 1.7]})) != INT8


def test_auto_leaves_small_towers_and_unproved_bundles(bundle, tmp_path):
    """No graph is made for a tiny tower, nor for a bundle without its original's vectors."""
    unproved = replace(bundle, config=bundle.config.model_copy(update={"proof": None}))
    assert open_engine("auto", bundle, 1, tmp_path, bfloat16=False).name != INT8
    assert auto(unproved, tmp_path) == "onnxruntime float32"
    assert not (tmp_path / "int8").exists()


@pytest.mark.parametrize("missing", ["folder", "onnx"])
def test_what_cannot_be_made(bundle, tmp_path, monkeypatch, missing):
    """Asked for by name, the line says why; `auto` takes float32. Without onnx a kept graph serves all the same."""
    if missing == "folder":
        (tmp_path / "int8").write_text("")
    else:
        monkeypatch.setitem(sys.modules, "onnx", None)
    reason = "no int8 graph of tiny" if missing == "folder" else "pip install -r requirements-hub.txt"
    with pytest.raises(EngineError, match=reason) as raised:
        open_engine("onnxruntime-int8", bundle, 1, tmp_path)
    assert "\n" not in str(raised.value)
    assert auto(bundle, tmp_path) != INT8
    monkeypatch.undo()
    kept_int8(bundle, 1, tmp_path / "elsewhere" / "int8")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert open_engine("onnxruntime-int8", bundle, 1, tmp_path / "elsewhere").name == INT8


def test_a_tower_without_matrix_products_gains_nothing(tmp_path):
    """The graph does not change, and its figures say so: `auto` does not take it."""
    bundle = open_bundle(write_bundle(tmp_path / "tiny"))
    _, price = kept_int8(bundle, 1, tmp_path / "int8")
    assert price.least_cosine == 1
    assert auto(bundle, with_price(bundle, tmp_path, int8_ms=[2, 2], float32_ms=[2, 2])) != INT8
