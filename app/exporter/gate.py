"""The gate: a bundle gives the vectors that open_clip gives, from JPEG bytes and from plain text, or it is refused."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from app.exporter import probes
from app.exporter.engines import EngineFactory
from app.exporter.open_clip_import import import_open_clip
from app.exporter.weights import Original, Say
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.model.bundle import Bundle
from app.model.engines import Floats, wanted

_AT_ONCE = 8

T = TypeVar("T", np.float32, np.int64)


@dataclass(frozen=True)
class Reference:
    """What open_clip itself answers to the probes."""

    pictures: Floats
    """Embeddings (P, D)."""
    prompts: Floats
    """Embeddings (T, D)."""
    tokens: npt.NDArray[np.int64]
    """Token ids (T, L)."""


@dataclass(frozen=True)
class Row:
    """How one engine does."""

    engine: str
    pictures: float
    """The least cosine with open_clip."""
    prompts: float
    """The least cosine with open_clip."""
    same_tokens: bool

    @property
    def wanted(self) -> float:
        """The least cosine that passes."""
        return wanted(self.engine)

    @property
    def passed(self) -> bool:
        """Whether the bundle may be used with this engine."""
        return self.same_tokens and self.pictures >= self.wanted and self.prompts >= self.wanted


def ask_original(original: Original) -> Reference:
    """The probes through open_clip's own transform, tokenizer and model."""
    forms, model = import_open_clip().transform, original.model
    transform = forms.image_transform_v2(forms.PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    pixels = torch.stack([transform(Image.open(io.BytesIO(data))) for data in probes.pictures()])  # (P, 3, S, S)
    tokens = original.tokenizer(probes.PROMPTS)  # (T, L)
    with torch.no_grad():
        pictures, prompts = model.encode_image(pixels, normalize=False), model.encode_text(tokens, normalize=False)
    return Reference(pictures.numpy(), prompts.numpy(), tokens.numpy())


def check(bundle: Bundle, reference: Reference, engines: Sequence[EngineFactory], say: Say) -> list[Row]:
    """How each engine does; raises EngineError when one cannot run the bundle."""
    preparer = Preparer(bundle.config.image_form, ImageLimits())
    pixels = np.stack([preparer.pixels(data) for data in probes.pictures()])  # (P, 3, S, S)
    tokens = bundle.tokenize(probes.PROMPTS)  # (T, L)
    rows: list[Row] = []
    for factory in engines:
        engine = factory(bundle)
        if any(row.engine == engine.name for row in rows):  # an engine's fastest precision may be its exact one
            continue
        say(f"asking {engine.name}")
        rows.append(
            Row(
                engine.name,
                _least_cosine(_in_parts(engine.encode_pixels, pixels), reference.pictures),
                _least_cosine(_in_parts(engine.encode_tokens, tokens), reference.prompts),
                np.array_equal(tokens, reference.tokens),
            )
        )
    return rows


def _in_parts(encode: Callable[[npt.NDArray[T]], Floats], values: npt.NDArray[T]) -> Floats:
    """The first alone, then the others: the batch size has to be free."""
    parts: list[npt.NDArray[T]] = [values[:1]]
    parts += [values[start : start + _AT_ONCE] for start in range(1, len(values), _AT_ONCE)]
    return np.concatenate([encode(part) for part in parts])


def _least_cosine(one: Floats, other: Floats) -> float:
    """The least cosine of row with row; 0 where the shapes differ or a number is none."""
    if one.shape != other.shape or not np.isfinite(one).all():
        return 0.0
    a, b = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / np.maximum(lengths, 1e-12)).min())
