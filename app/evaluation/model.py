"""A bundle as the evaluation uses it: pictures and label names in, unit embeddings out, as in the service."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.model.bundle import Bundle, BundleConfig, find_bundle, open_bundle
from app.model.encoder import Encoder
from app.model.engines import Floats
from app.model.engines.choice import open_engine
from app.recognition.background import Background
from app.recognition.vocabulary import background_of_words, read_prompts
from app.settings import available_processors

BATCH = 64
NOUNS = Path(__file__).parents[2] / "labels/nouns.txt"
LIMITS = ImageLimits(max_bytes=100 * 1024 * 1024)  # local files are trusted more than a request's


@dataclass(frozen=True)
class Measured:
    """An opened bundle."""

    bundle: Bundle
    encoder: Encoder
    engine: str
    """Name of the inference engine, for reports."""

    @property
    def config(self) -> BundleConfig:
        """Return the bundle's configuration."""
        return self.bundle.config

    def background(self, prompts: Sequence[str]) -> Background:
        """Return the background embeddings: the bundle's own and those of these prompts."""
        embeddings, path = self.encoder.prompts(prompts), self.bundle.background
        return Background.load(path).with_prompts(embeddings) if path else Background(embeddings)

    def background_in_use(self, prompts: Sequence[str]) -> Background:
        """Return the service's background: without a fitted margin of `known`, these prompts and everyday nouns."""
        if self.config.calibration and self.config.calibration.known_margin is not None:
            return self.background(prompts)
        return background_of_words(self.encoder, prompts, read_prompts(NOUNS))

    def vectors(self, files: Sequence[bytes], what: str) -> Floats:
        """Encode N picture files as unit embeddings (N, D); raises what `Preparer.pixels` does."""
        preparer = Preparer(self.config.image_form, LIMITS)
        with ThreadPoolExecutor(available_processors()) as pool:
            parts = [
                self.encoder.pictures(list(pool.map(preparer.pixels, part)))
                for part in tqdm(list(_parts(files)), desc=what, unit="batch", disable=None)
            ]
        return np.concatenate(parts)


def open_measured(model: str, data: Path) -> Measured:
    """Open the bundle with this name or folder; raises BundleError or EngineError."""
    bundle = open_bundle(find_bundle(model))
    chosen = open_engine("auto", bundle, available_processors(), data)
    encoder = Encoder(bundle.tokenize, chosen, bundle.config.embedding_size)
    return Measured(bundle, encoder, chosen.name)


def _parts(files: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(files), BATCH):
        yield files[start : start + BATCH]
