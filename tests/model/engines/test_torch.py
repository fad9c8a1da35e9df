"""open_clip served directly, without a bundle."""

import numpy as np
import pytest
import torch

from app.components import open_model
from app.errors import EngineError, ExportError
from app.exporter.original import open_original
from app.model.bundle import open_bundle
from app.model.engines.choice import open_engine
from app.model.engines.torch import TorchEngine
from app.settings import Settings
from tests.bundles import write_bundle

SMALL = "open_clip:ViT-S-32-alt/none"


@pytest.fixture(scope="module")
def original():
    return open_original(SMALL, threads=1)


def test_it_is_what_a_bundle_and_its_engine_are(original):
    """Form, sizes and scale come from open_clip, and both towers answer."""
    config, engine = original.config, original.engine
    assert (config.name, config.image_size, config.embedding_size) == ("ViT-S-32-alt-none", 224, 256)
    pixels = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    assert engine.encode_pixels(pixels).shape == (2, 256)
    assert engine.encode_tokens(original.tokenize(["a photo of a cat", "tea &amp; milk"])).shape == (2, 256)
    assert original.tokenize(["x " * 200]).shape == (1, 77)


@pytest.mark.parametrize(("text", "tokens"), [("", 2), ("tea!", 4), ("x " * 75, 77), ("x " * 76, 78), ("x " * 200, 78)])
def test_tokens_are_counted(original, text, tokens):
    """Start and end count too; one more than the context length means that a text of any length is truncated."""
    assert original.count_tokens(text) == tokens


def test_the_service_runs_on_it(tmp_path):
    """`LARDER_MODEL=open_clip:...` gives a model like any other; the seed makes it the same every time."""
    settings = Settings(model=SMALL, data=tmp_path)
    first, second = open_model(settings), open_model(settings)
    assert first.config.image_size == 224
    assert np.allclose(first.encoder.prompts(["a red square"]), second.encoder.prompts(["a red square"]))
    assert np.allclose(np.linalg.norm(first.encoder.prompts(["tea"])), 1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": SMALL, "engine": "openvino"}, EngineError, "needs LARDER_ENGINE=torch or auto"),
        ({"model": "open_clip:ViT-B-32"}, EngineError, "open_clip:MODEL/PRETRAINED is the form"),
        ({"model": "open_clip:ViT-B-33/none"}, ExportError, "no model 'ViT-B-33'"),
        ({"model": "open_clip:ViT-B-32/opena1"}, ExportError, "no weights 'opena1'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, settings, error, message):
    """A wrong engine, form, model or tag is named."""
    with pytest.raises(error, match=message) as raised:
        open_model(Settings(data=tmp_path, **settings))
    assert "\n" not in str(raised.value)


def test_a_bundle_of_no_open_clip_model_is_not_for_torch(tmp_path):
    """The bundled model was trained by Larder itself: the torch engine says so."""
    bundle = open_bundle(write_bundle(tmp_path / "tiny"))
    with pytest.raises(EngineError, match="tiny is made of none"):
        open_engine("torch", bundle, 1, tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="NO GPU HERE: bfloat16 on CUDA was not tried")
def test_on_a_gpu_it_is_bfloat16_and_near(original):
    """On CUDA the engine computes in bfloat16 with a cosine of 0.999 to float32."""
    pixels = np.random.default_rng(0).normal(size=(4, 3, 224, 224)).astype(np.float32)
    exact = TorchEngine(original.engine._model, 1, device="cpu").encode_pixels(pixels)
    engine = TorchEngine(original.engine._model, 1)
    fast = engine.encode_pixels(pixels)
    assert engine.name.endswith("cuda bfloat16")
    assert ((fast * exact).sum(1) / np.linalg.norm(fast, axis=1) / np.linalg.norm(exact, axis=1)).min() >= 0.999
