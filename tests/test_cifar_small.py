"""The small CLIP for CIFAR-10 that comes with the checkout."""

from pathlib import Path

import numpy as np

from app.model.bundle import open_bundle
from app.model.encoder import Encoder
from app.model.engines.choice import open_engine

FOLDER = Path("models/cifar-small")
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def test_it_is_small():
    """All its files take at most 8 MB."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8_000_000


def test_its_prompts_mean_their_labels_in_other_words(tmp_path: Path):
    """For three templates, each label's prompt is nearest to its training prompt."""
    bundle = open_bundle(FOLDER)
    encoder = Encoder(bundle.tokenize, open_engine("onnxruntime", bundle, 1, tmp_path), bundle.config.embedding_size)
    trained = encoder.texts([f"An image of a {name}" for name in NAMES])
    for template in ("{}", "a photo of a {}.", "a photo of {}."):
        asked = encoder.texts([template.replace("{}", name) for name in NAMES])
        assert np.argmax(asked @ trained.T, axis=1).tolist() == list(range(len(NAMES)))
