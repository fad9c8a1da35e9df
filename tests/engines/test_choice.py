"""`auto` takes the fastest engine that is installed and exact enough."""

import importlib.util
import json

import numpy as np
import pytest

from app.bundle import open_bundle
from app.engines import choice
from app.engines.choice import least_cosine, open_engine
from app.engines.onnxruntime import OnnxRuntimeEngine
from app.errors import EngineError
from tests.bundles import write_bundle


@pytest.fixture
def bundle(tmp_path):
    return open_bundle(write_bundle(tmp_path / "tiny"))


def test_the_engine_that_is_named_is_taken(bundle, tmp_path):
    """ONNX Runtime and OpenVINO by name; there is no other by another name."""
    assert open_engine("onnxruntime", bundle, 1, tmp_path).name == "onnxruntime float32"
    assert open_engine("openvino", bundle, 1, tmp_path).name.startswith("openvino")
    with pytest.raises(EngineError, match="there is no engine"):
        open_engine("tensorflow", bundle, 1, tmp_path)


def test_auto_takes_openvino_once_it_has_proved_exact(bundle, tmp_path, monkeypatch):
    """The cosine with float32 is measured at the first start, kept, and not measured again."""
    engine = open_engine("auto", bundle, 1, tmp_path)
    assert engine.name.startswith("openvino")
    verdicts = json.loads((tmp_path / "engines.json").read_text())
    assert verdicts[f"{bundle.checksum} {engine.name}"] > 0.999
    monkeypatch.setattr(choice, "least_cosine", None)
    assert open_engine("auto", bundle, 1, tmp_path).name == engine.name


def test_auto_refuses_what_is_not_exact(bundle, tmp_path, monkeypatch):
    """An engine whose vectors are off by more than the limit is not chosen, now and at the next start."""
    monkeypatch.setattr(choice, "EXACT", 1.1)
    assert open_engine("auto", bundle, 1, tmp_path).name == "onnxruntime float32"
    assert open_engine("auto", bundle, 1, tmp_path).name == "onnxruntime float32"


def test_auto_does_without_openvino(bundle, tmp_path, monkeypatch):
    """Where it is not installed ONNX Runtime runs the model; asked for by name, the error says what to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))
    assert open_engine("auto", bundle, 1, tmp_path).name == "onnxruntime float32"
    with pytest.raises(EngineError, match="pip install openvino"):
        open_engine("openvino", bundle, 1, tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}'])
def test_a_damaged_verdict_is_measured_anew(bundle, tmp_path, content):
    """The file of verdicts is a cache, not a truth."""
    (tmp_path / "engines.json").write_text(content)
    assert open_engine("auto", bundle, 1, tmp_path).name.startswith("openvino")


def test_the_measure_sees_a_tower_that_is_off(bundle):
    """A turned picture tower and a turned text tower each lower the cosine."""
    reference = OnnxRuntimeEngine(bundle, 1)

    class Turned:
        name = "turned"

        def __init__(self, tower: str) -> None:
            self.tower = tower

        def encode_pixels(self, pixels):
            vectors = reference.encode_pixels(pixels)
            return np.roll(vectors, 1, axis=1) if self.tower == "pixels" else vectors

        def encode_tokens(self, tokens):
            vectors = reference.encode_tokens(tokens)
            return np.roll(vectors, 1, axis=1) if self.tower == "tokens" else vectors

    assert least_cosine(bundle, Turned("neither"), reference) > 0.9999
    assert least_cosine(bundle, Turned("pixels"), reference) < 0.99
    assert least_cosine(bundle, Turned("tokens"), reference) < 0.99


def test_auto_passes_over_what_breaks(bundle, tmp_path, monkeypatch):
    """An engine that loads the bundle and then fails at its first picture does not stop the start."""

    class Broken:
        name = "broken"

        def encode_pixels(self, pixels):
            raise RuntimeError("no such instruction")

    monkeypatch.setattr(choice, "_openvino", lambda *_: Broken())
    assert open_engine("auto", bundle, 1, tmp_path).name == "onnxruntime float32"
