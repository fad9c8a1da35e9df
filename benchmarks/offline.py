"""A model's embeddings without a server, for comparing rules."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.components import Model, open_model
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.log import configure
from app.model.engines import Floats
from app.recognition.vocabulary import read_prompts
from app.settings import Settings

_PICTURES_A_CALL = 16


def open_offline(name: str) -> tuple[Model, Floats]:
    """Open a model; returns it and its background embeddings (B, D)."""
    configure("warning")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(model=name, data=Path(folder), prompt_cache=0)
        model = open_model(settings)
        return model, model.encoder.prompts(read_prompts(settings.background))


def encode_pictures(model: Model, pictures: Sequence[str]) -> Floats:
    """Return the unit embeddings (N, D) of pictures in base64."""
    preparer = Preparer(model.config.image_form, ImageLimits())
    starts = tqdm(range(0, len(pictures), _PICTURES_A_CALL), desc="pictures", disable=None)
    parts = [pictures[start : start + _PICTURES_A_CALL] for start in starts]
    return np.concatenate([model.encoder.pictures([preparer.pixels(each) for each in part]) for part in parts])
