"""What runs a model's two towers."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Engine(Protocol):
    """Two towers; embeddings come as the graphs give them, not yet of unit length."""

    name: str
    """What runs and in which precision, for people: "onnxruntime float32"."""

    def encode_pixels(self, pixels: Floats) -> Floats:
        """Preprocessed pictures (N, 3, S, S) to embeddings (N, D)."""
        ...

    def encode_tokens(self, tokens: npt.NDArray[np.int64]) -> Floats:
        """Token ids (N, L) to embeddings (N, D)."""
        ...


EXACT = 0.99999  # float32
CLOSE = 0.999  # every other precision


def wanted(engine: str) -> float:
    """The least cosine with the original model that an engine of this name must keep.

    Float32 has to come closer than it seems to need: with random weights the wrong activation still gives 0.99997.
    """
    return EXACT if engine.endswith(("float32", "f32")) else CLOSE
