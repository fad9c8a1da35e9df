"""open_clip itself: in bfloat16 on a GPU, in float32 on the CPU; any of its models, without an export."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from app.model.engines import Floats


class TorchEngine:
    """Both towers of an open_clip model, on the GPU if there is one; thread-safe."""

    def __init__(self, model: Any, threads: int, device: str | None = None) -> None:
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._type = torch.bfloat16 if self._device == "cuda" else torch.float32
        torch.set_num_threads(threads)
        self._model = model.eval().to(self._device, self._type)
        self.name = f"torch {torch.__version__} {self._device} {str(self._type).removeprefix('torch.')}"

    def encode_pixels(self, pixels: Floats) -> Floats:
        """Encode preprocessed pictures (N, 3, S, S) as embeddings (N, D)."""
        with torch.inference_mode():
            values = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device, self._type)
            return self._floats(self._model.encode_image(values))

    def encode_tokens(self, tokens: npt.NDArray[np.int64]) -> Floats:
        """Encode token ids (N, L) as embeddings (N, D)."""
        with torch.inference_mode():
            return self._floats(self._model.encode_text(torch.from_numpy(tokens).to(self._device)))

    def _floats(self, embeddings: torch.Tensor) -> Floats:
        floats: Floats = embeddings.float().cpu().numpy()
        return floats
