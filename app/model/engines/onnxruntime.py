"""A bundle's graphs on ONNX Runtime."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from app.errors import EngineError
from app.model.bundle import Bundle
from app.model.engines import Floats


class OnnxRuntimeEngine:
    """Both towers as ONNX Runtime sessions on the CPU; thread-safe."""

    def __init__(
        self, bundle: Bundle, threads: int, visual: Path | None = None, name: str = "onnxruntime float32"
    ) -> None:
        """Load the graphs, `visual` instead of the bundle's own picture tower; raise EngineError when one is none."""
        self.name = name
        self._visual = _session(visual or bundle.folder / "visual.onnx", threads)
        self._text = _session(bundle.folder / "text.onnx", threads)
        self._run = onnxruntime.RunOptions()
        # a large batch must not keep its memory allocated: 120 MB after one of 16, and no slower without
        self._run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def encode_pixels(self, pixels: Floats) -> Floats:
        """Encode preprocessed pictures (N, 3, S, S) as embeddings (N, D)."""
        embedding: Floats = self._visual.run(["embedding"], {"pixels": pixels}, self._run)[0]
        return embedding

    def encode_tokens(self, tokens: npt.NDArray[np.int64]) -> Floats:
        """Encode token ids (N, L) as embeddings (N, D)."""
        embedding: Floats = self._text.run(["embedding"], {"tokens": tokens}, self._run)[0]
        return embedding


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    # waiting threads sleep: spinning ones would take the processors from decoding and HTTP
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
        reason = str(error).splitlines()[0]
        raise EngineError(f"ONNX Runtime cannot load {path}: {reason}") from error
