"""Pictures or prompts in, unit float32 vectors out."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from app.engines import Engine, Floats

_PROMPTS_A_CALL = 64  # bounds the memory of one call of the text tower


class Encoder:
    """One model's two towers behind the words of the service; safe to call from several threads."""

    def __init__(self, tokenize: Callable[[list[str]], npt.NDArray[np.int64]], engine: Engine, size: int) -> None:
        self._tokenize = tokenize
        self._engine = engine
        self.size = size

    def pictures(self, pixels: Sequence[Floats]) -> Floats:
        """Preprocessed pictures, each (3, S, S), to unit vectors (N, D)."""
        return unit(self._engine.encode_pixels(np.stack(pixels)))

    def prompts(self, prompts: Sequence[str]) -> Floats:
        """Prompts, word for word, to unit vectors (N, D)."""
        vectors = np.empty((len(prompts), self.size), dtype=np.float32)
        for start in range(0, len(prompts), _PROMPTS_A_CALL):
            tokens = self._tokenize(list(prompts[start : start + _PROMPTS_A_CALL]))
            vectors[start : start + len(tokens)] = unit(self._engine.encode_tokens(tokens))
        return vectors


def unit(vectors: Floats) -> Floats:
    """Vectors (..., D) scaled to length 1; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
