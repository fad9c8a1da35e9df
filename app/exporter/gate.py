"""The gate: a bundle must reproduce its original's embeddings, from JPEG bytes and from plain text."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from app.errors import ExportError
from app.exporter import probes
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.images.resize import PILLOW
from app.model.bundle import Bundle
from app.model.engines import Engine, Floats, wanted
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.settings import available_processors

_AT_ONCE = 8
Say = Callable[[str], None]
EngineFactory = Callable[[Bundle], Engine]

T = TypeVar("T", np.float32, np.int64)


@dataclass(frozen=True)
class Reference:
    """The original's outputs for the probes."""

    pictures: Floats
    """Embeddings (P, D)."""
    prompts: Floats
    """Embeddings (T, D)."""
    tokens: npt.NDArray[np.int64]
    """Token ids (T, L)."""


@dataclass(frozen=True)
class Row:
    """The result of one engine."""

    engine: str
    pictures: float
    """The least cosine similarity with the original, of pictures."""
    prompts: float
    """The least cosine similarity with the original, of prompts."""
    same_tokens: bool

    @property
    def wanted(self) -> float:
        """Return the least cosine similarity that passes."""
        return wanted(self.engine)

    @property
    def passed(self) -> bool:
        """Return whether this engine passes the gate."""
        return self.same_tokens and self.pictures >= self.wanted and self.prompts >= self.wanted


def onnxruntime(bundle: Bundle) -> Engine:
    """Return the engine that decides at export: float32, and installed wherever serving is."""
    return OnnxRuntimeEngine(bundle, available_processors())


def installed_engines() -> list[EngineFactory]:
    """Return every installed engine, in every precision it has here."""
    if importlib.util.find_spec("openvino") is None:
        return [onnxruntime]
    from app.model.engines.openvino import OpenVinoEngine

    fastest = partial(OpenVinoEngine, threads=available_processors())
    return [onnxruntime, partial(fastest, precision="f32"), fastest]


def probe_pictures(bundle: Bundle) -> Floats:
    """Preprocess the probe pictures as the service does, resized as the original's: (P, 3, S, S)."""
    preparer = Preparer(bundle.config.image_form, ImageLimits(), library=PILLOW)
    return np.stack([preparer.pixels(data) for data in probes.pictures()])


def check(bundle: Bundle, reference: Reference, engines: Sequence[EngineFactory], say: Say) -> list[Row]:
    """Compare each engine with the reference; raises EngineError if one cannot run the bundle."""
    pixels = probe_pictures(bundle)
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


def require(row: Row, name: str) -> None:
    """Raise ExportError if an engine failed the gate."""
    if not row.passed:
        raise ExportError(
            f"{name} is refused, its embeddings differ from the original's: least cosine {row.pictures:.6f} of "
            f"pictures and {row.prompts:.6f} of prompts, {row.wanted} is wanted; "
            f"tokens {'identical' if row.same_tokens else 'different'}"
        )


def _in_parts(encode: Callable[[npt.NDArray[T]], Floats], values: npt.NDArray[T]) -> Floats:
    """Encode the first input alone, then the others, to test the dynamic batch size."""
    parts: list[npt.NDArray[T]] = [values[:1]]
    parts += [values[start : start + _AT_ONCE] for start in range(1, len(values), _AT_ONCE)]
    return np.concatenate([encode(part) for part in parts])


def _least_cosine(one: Floats, other: Floats) -> float:
    """Return the least cosine similarity of corresponding rows; 0 if the shapes differ or a number is NaN."""
    if one.shape != other.shape or not np.isfinite(one).all():
        return 0.0
    a, b = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / np.maximum(lengths, 1e-12)).min())
