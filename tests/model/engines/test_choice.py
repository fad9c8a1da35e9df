"""`auto` takes the fastest engine that is installed and exact enough."""

import importlib.util
import json
import shutil

import pytest

from app.errors import EngineError
from app.model.bundle import open_bundle
from app.model.engines import choice
from app.model.engines.choice import open_engine
from tests.bundles import write_bundle


@pytest.fixture
def bundle(tmp_path):
    return open_bundle(write_bundle(tmp_path / "tiny"))


def with_config(bundle, **changes):
    """The bundle again, with some of its config changed."""
    path = bundle.folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return open_bundle(bundle.folder)


def test_the_engine_that_is_named_is_taken(bundle, tmp_path):
    """ONNX Runtime and OpenVINO by name; an unknown name gets a list of the engines."""
    assert open_engine("onnxruntime", bundle, 1, tmp_path).name == "onnxruntime float32"
    assert open_engine("openvino", bundle, 1, tmp_path).name.startswith("openvino")
    with pytest.raises(EngineError, match="auto, onnxruntime-int8, onnxruntime, openvino, torch are there"):
        open_engine("tensorflow", bundle, 1, tmp_path)


def test_auto_takes_openvino_where_it_is_exact(bundle, tmp_path):
    """The faster engine is chosen when it answers as the original did."""
    assert open_engine("auto", bundle, 1, tmp_path).name.startswith("openvino")


def test_auto_refuses_what_is_not_exact(bundle, tmp_path, monkeypatch):
    """An engine whose error exceeds the limit of its precision is skipped."""
    monkeypatch.setattr(choice, "wanted", lambda name: 0.9999 if name.startswith("onnxruntime") else 1.1)
    assert open_engine("auto", bundle, 1, tmp_path).name == "onnxruntime float32"


def test_auto_is_cautious_without_a_proof(bundle, tmp_path):
    """A bundle without its original's vectors runs in float32."""
    assert open_engine("auto", with_config(bundle, proof=None), 1, tmp_path).name == "onnxruntime float32"


def test_auto_does_without_openvino(bundle, tmp_path, monkeypatch):
    """If it is not installed ONNX Runtime runs the model; if selected by name, the error says what to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))
    assert open_engine("auto", bundle, 1, tmp_path).name == "onnxruntime float32"
    with pytest.raises(EngineError, match="pip install openvino"):
        open_engine("openvino", bundle, 1, tmp_path)


def test_auto_passes_over_what_breaks(bundle, tmp_path, monkeypatch):
    """An engine that loads the bundle and then fails at its first picture does not prevent the start."""

    class Broken:
        name = "broken"

        def encode_pixels(self, pixels):
            raise RuntimeError("no such instruction")

    monkeypatch.setattr(choice, "_openvino", lambda *_: Broken())
    assert open_engine("auto", bundle, 1, tmp_path).name == "onnxruntime float32"


@pytest.mark.parametrize("engine", ["auto", "onnxruntime", "onnxruntime-int8", "openvino"])
@pytest.mark.parametrize("tower", ["picture", "prompt"])
def test_graphs_of_another_model_are_refused(bundle, tmp_path, engine, tower):
    """Right checksums and wrong vectors: whichever tower is off, no engine starts with it, and the line says why."""
    proof = bundle.config.proof.model_dump()
    proof[tower] = [0.6, 0.8, 0.0]
    with pytest.raises(EngineError, match="is not the model that it says it is") as raised:
        open_engine(engine, with_config(bundle, proof=proof), 1, tmp_path)
    assert "\n" not in str(raised.value)


def test_a_vector_of_another_size_is_refused(bundle, tmp_path):
    """A graph whose embedding has another size is rejected too."""
    proof = {"picture": [1.0], "prompt": [1.0]}
    with pytest.raises(EngineError, match="0.000000 for a picture"):
        open_engine("onnxruntime", with_config(bundle, proof=proof), 1, tmp_path)


def test_a_moved_bundle_still_proves_itself(bundle, tmp_path):
    """The proof depends on nothing outside the folder."""
    shutil.move(bundle.folder, tmp_path / "elsewhere")
    assert open_engine("onnxruntime", open_bundle(tmp_path / "elsewhere"), 1, tmp_path).name == "onnxruntime float32"
