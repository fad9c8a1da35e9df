"""Pictures or prompts in, unit float32 vectors out."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from app.model.engines import Engine, Floats
from app.model.prompt_cache import PromptCache

_PROMPTS_A_CALL = 64  # bounds the memory of one call of the text tower


class Encoder:
    """One model's two towers behind the words of the service; safe to call from several threads."""

    def __init__(
        self,
        tokenize: Callable[[list[str]], npt.NDArray[np.int64]],
        engine: Engine,
        size: int,
        cache: PromptCache | None = None,
    ) -> None:
        self._tokenize = tokenize
        self._engine = engine
        self._cache = cache
        self.size = size

    def pictures(self, pixels: Sequence[Floats]) -> Floats:
        """Preprocessed pictures, each (3, S, S), to unit vectors (N, D)."""
        batch = np.stack(pixels) if len(pixels) > 1 else pixels[0][np.newaxis]  # (N, 3, S, S)
        return unit(self._engine.encode_pixels(batch))

    def texts(self, texts: Sequence[str]) -> Floats:
        """Up to a few dozen texts to unit vectors (N, D), past the cache."""
        return unit(self._engine.encode_tokens(self._tokenize(list(texts))))

    def prompts(self, prompts: Sequence[str]) -> Floats:
        """Prompts, word for word, to unit vectors (N, D); from the cache where it has them, into it where not."""
        vectors = self._cache.get(prompts) if self._cache else {}
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in vectors]
        for start in range(0, len(missing), _PROMPTS_A_CALL):
            part = missing[start : start + _PROMPTS_A_CALL]
            new = self.texts(part)  # (up to 64, D)
            if self._cache:
                self._cache.put(part, new)
            vectors |= zip(part, new, strict=True)
        return np.stack([vectors[prompt] for prompt in prompts]) if prompts else np.empty((0, self.size), np.float32)


def unit(vectors: Floats) -> Floats:
    """Vectors (..., D) scaled to length 1; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
