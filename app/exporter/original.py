"""Serve an open_clip model directly, without a bundle."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import EngineError
from app.exporter.export import describe
from app.exporter.recipe import read_recipe
from app.exporter.weights import build
from app.log import get_logger
from app.model.bundle import BundleConfig
from app.model.engines import Engine
from app.model.engines.torch import TorchEngine

PREFIX = "open_clip:"


@dataclass(frozen=True)
class OpenedOriginal:
    """An open_clip model with the interface of a Bundle and its engine."""

    config: BundleConfig
    engine: Engine
    tokenizer: Any
    likeness: None = None
    background: None = None
    labels: None = None

    @property
    def checksum(self) -> str:
        """Return an id of the embedding space, stored with embeddings."""
        config = self.config
        facts = [config.name, repr(config.source), repr(config.image_form)]
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()

    def tokenize(self, texts: list[str]) -> npt.NDArray[np.int64]:
        """Tokenize and clean texts with open_clip's own tokenizer: ids (N, L)."""
        tokens: npt.NDArray[np.int64] = self.tokenizer(texts).numpy().astype(np.int64)
        return tokens

    def count_tokens(self, text: str) -> int:
        """Count the tokens of a text including start and end; one more than the context length if it is truncated."""
        length = self.config.context_length + 1
        row, empty = self.tokenizer([text, ""], context_length=length).numpy()
        return int(np.flatnonzero(row != empty[-1]).max(initial=-1)) + 1  # everything after the last token is padding


def open_original(name: str, threads: int) -> OpenedOriginal:
    """Open the model `open_clip:MODEL/PRETRAINED`; PRETRAINED is a tag, "none" or a checkpoint's path.

    Raises EngineError for another form, ExportError if the weights are not available.
    """
    model, slash, pretrained = name.removeprefix(PREFIX).partition("/")
    if not (model and slash and pretrained):
        raise EngineError(f"LARDER_MODEL: {name!r} was found; open_clip:MODEL/PRETRAINED is the form")
    recipe = read_recipe(model, pretrained)
    original = build(recipe, lambda line: get_logger().info(line))
    config = BundleConfig(**describe(recipe, original), sha256={"weights": original.sha256 or "none"})
    return OpenedOriginal(config, TorchEngine(original.model, threads), original.tokenizer)
