"""Exported graphs say what the torch towers say."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from app.model.bundle import Proof
from app.training.export import FILES, Calibration, export_graphs, write_config
from app.training.model import SmallClip
from app.training.options import Options

TINY = Options(
    image_size=32, widths=(6, 9), depths=(1, 2), embedding_size=8, text_width=16, vocabulary_size=50, context_length=6
)
pytestmark = pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own parts


def random_model() -> SmallClip:
    """A model whose batch norms do something."""
    torch.manual_seed(0)
    model = SmallClip(TINY).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                values.copy_(torch.rand_like(values) + 0.5)
    return model


def test_graphs_equal_the_towers(tmp_path: Path):
    """With folded norms and a free batch size the graphs agree with torch to 1e-4."""
    model = random_model()
    export_graphs(model, TINY, tmp_path)
    visual = onnxruntime.InferenceSession(tmp_path / "visual.onnx")
    text = onnxruntime.InferenceSession(tmp_path / "text.onnx")
    for count in (1, 3):
        pixels = torch.randn(count, 3, 32, 32)
        tokens = torch.randint(1, 50, (count, 6))
        tokens[:, 4:] = 0
        [pictures] = visual.run(["embedding"], {"pixels": pixels.numpy()})
        [texts] = text.run(["embedding"], {"tokens": tokens.numpy()})
        np.testing.assert_allclose(pictures, model.served()(pixels).detach(), atol=1e-4)
        np.testing.assert_allclose(texts, model.text(tokens).detach(), atol=1e-4)
        assert not np.allclose(pictures, 0)


def test_config_holds_checksums_and_calibration(tmp_path: Path):
    """config.json names every other file of the bundle and what was fitted."""
    for name in FILES:
        (tmp_path / name).write_text(name, encoding="utf-8")
    proof = Proof(picture=(1.0, 0.0), prompt=(0.0, 1.0))
    write_config(TINY, Calibration(12.0, 0.5, 0.1, 0.5), "a test", proof, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert set(config["sha256"]) == set(FILES)
    assert config["logit_scale"] == 12.0
    assert config["proof"] == {"picture": [1.0, 0.0], "prompt": [0.0, 1.0]}
    assert config["calibration"] == {"temperature": 0.5, "known_margin": 0.1, "label_cosine": 0.5}
