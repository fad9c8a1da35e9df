"""A bundle's graphs on OpenVINO, in bfloat16 if the processor supports it."""

import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# openvino sends a telemetry event when it is imported; without this module it uses a stub that does not
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

from app.errors import EngineError  # noqa: E402
from app.log import get_logger  # noqa: E402
from app.model.bundle import Bundle  # noqa: E402
from app.model.engines import Floats  # noqa: E402


def computes_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoEngine:
    """Both towers as compiled models on the CPU; thread-safe, one call at a time.

    `precision` is "bf16", "f32" or None for the processor's fastest. For bf16 the folder `cache` has the graphs with
    16-bit weights: half the memory, and a start that reads half as much.
    """

    def __init__(self, bundle: Bundle, threads: int, cache: Path | None = None, precision: str | None = None) -> None:
        """Raises EngineError if a graph cannot be loaded."""
        core = openvino.Core()
        if precision is None:
            precision = "bf16" if computes_bfloat16() else "f32"
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        self.name = f"openvino {openvino.__version__.partition('-')[0]} {precision}"
        graphs = {name: bundle.folder / f"{name}.onnx" for name in ("visual", "text")}
        if precision == "bf16" and cache is not None:
            graphs = _halved(core, graphs, cache / bundle.checksum)
        self._visual = _Tower(core, graphs["visual"], options)
        self._text = _Tower(core, graphs["text"], options)

    def encode_pixels(self, pixels: Floats) -> Floats:
        """Encode preprocessed pictures (N, 3, S, S) as embeddings (N, D)."""
        return self._visual(pixels)

    def encode_tokens(self, tokens: npt.NDArray[np.int64]) -> Floats:
        """Encode token ids (N, L) as embeddings (N, D)."""
        return self._text(tokens)


class _Tower:
    """One compiled graph, for one thread at a time."""

    def __init__(self, core: Any, path: Path, options: dict[str, Any]) -> None:
        try:
            self._request = core.compile_model(str(path), "CPU", options).create_infer_request()
        except Exception as error:  # OpenVINO raises RuntimeError and subclasses
            reason = str(error).strip().splitlines()[-1]
            raise EngineError(f"OpenVINO cannot load {path}: {reason}") from error
        self._lock = threading.Lock()

    def __call__(self, values: npt.NDArray[Any]) -> Floats:
        with self._lock:
            output = self._request.infer({0: values}, share_inputs=True, share_outputs=True)[0]
            return np.array(output, np.float32)  # a copy: the next call reuses the buffer


def _halved(core: Any, graphs: dict[str, Path], kept: Path) -> dict[str, Path]:
    """Return the graphs with 16-bit weights from the folder `kept`, which is written atomically."""
    if not kept.exists():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as staging:
                folder = Path(staging) / "graphs"
                folder.mkdir()
                for name, path in graphs.items():
                    openvino.save_model(core.read_model(str(path)), str(folder / f"{name}.xml"), compress_to_fp16=True)
                folder.rename(kept)
        except (OSError, RuntimeError) as error:  # a read-only disk, a lost race, or an invalid graph
            get_logger().info("16-bit weights not cached", reason=str(error).strip().splitlines()[-1])
    return {name: kept / f"{name}.xml" for name in graphs} if kept.exists() else graphs
