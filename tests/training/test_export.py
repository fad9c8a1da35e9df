"""Exported graphs compute what the torch towers compute."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from app.training.export import export_graphs
from app.training.model import SmallClip
from app.training.options import Options

TINY = Options(
    image_size=32, widths=(6, 9), depths=(1, 2), embedding_size=8, text_width=16, vocabulary_size=50, context_length=6
)
pytestmark = pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own parts


def random_model() -> SmallClip:
    """A model with non-trivial batch norms."""
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
        np.testing.assert_allclose(pictures, model.encode_pixels(pixels.numpy()), atol=1e-4)
        np.testing.assert_allclose(texts, model.encode_tokens(tokens.numpy()), atol=1e-4)
        assert not np.allclose(pictures, 0)
