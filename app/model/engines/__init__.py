"""Inference engines for a model's two towers: the protocol, and the accuracy they must reach."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Engine(Protocol):
    """The two towers of a model; embeddings are not normalised."""

    name: str
    """The runtime and its precision, for people: "onnxruntime float32"."""

    def encode_pixels(self, pixels: Floats) -> Floats:
        """Encode preprocessed pictures (N, 3, S, S) as embeddings (N, D)."""
        ...

    def encode_tokens(self, tokens: npt.NDArray[np.int64]) -> Floats:
        """Encode token ids (N, L) as embeddings (N, D)."""
        ...


EXACT = 0.99999  # float32
CLOSE = 0.999  # every other precision


def wanted(engine: str) -> float:
    """Return the least cosine similarity to the original model that an engine of this name must reach.

    Float32 has a stricter bound than seems necessary: with random weights the wrong activation still gives 0.99997.
    """
    return EXACT if engine.endswith(("float32", "f32")) else CLOSE
