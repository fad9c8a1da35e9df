"""A bundle's graphs on OpenVINO, in bfloat16 where the processor has it."""

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# openvino reports its own import to its makers over the network; without this module of its it does not
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

from app.bundle import Bundle  # noqa: E402
from app.engines import Floats  # noqa: E402
from app.errors import EngineError  # noqa: E402


class OpenVinoEngine:
    """Both towers as compiled models on the processor; safe to call from several threads, which take turns.

    `precision` is "bf16", "f32" or None for the fastest that the processor computes in. Compiled models are kept in
    the folder `cache` between starts.
    """

    def __init__(self, bundle: Bundle, threads: int, cache: Path | None = None, precision: str | None = None) -> None:
        """Raises EngineError when a graph cannot be loaded."""
        core = openvino.Core()
        if precision is None:
            precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if cache is not None:
            # a folder for each: OpenVINO does not tell them apart, and a float32 model read as bfloat16 fails at work
            options["CACHE_DIR"] = str(cache / f"{precision}-{threads}")
        self.name = f"openvino {openvino.__version__.partition('-')[0]} {precision}"
        self._visual = _Tower(core, bundle.folder / "visual.onnx", options)
        self._text = _Tower(core, bundle.folder / "text.onnx", options)

    def encode_pixels(self, pixels: Floats) -> Floats:
        """Preprocessed pictures (N, 3, S, S) to embeddings (N, D)."""
        return self._visual(pixels)

    def encode_tokens(self, tokens: npt.NDArray[np.int64]) -> Floats:
        """Token ids (N, L) to embeddings (N, D)."""
        return self._text(tokens)


class _Tower:
    """One compiled graph, for one thread at a time."""

    def __init__(self, core: Any, path: Path, options: dict[str, Any]) -> None:
        try:
            self._request = core.compile_model(str(path), "CPU", options).create_infer_request()
        except Exception as error:  # OpenVINO raises RuntimeError and its kin
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(f"OpenVINO cannot load {path}: {reason}") from error
        self._lock = threading.Lock()

    def __call__(self, values: npt.NDArray[Any]) -> Floats:
        with self._lock:
            output = self._request.infer({0: values}, share_inputs=True, share_outputs=True)[0]
            return np.array(output, np.float32)  # a copy: the buffer belongs to the next call
