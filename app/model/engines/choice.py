"""Choose the inference engine of a bundle: the configured one, or the fastest installed one that is accurate enough.

OpenVINO in bfloat16 is the fastest on processors that support it, int8 on the others: see
docs/decisions/0004-engines.md. The accuracy is verified at every start against the embeddings of the original model.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import EngineError
from app.log import get_logger
from app.model.bundle import PROBE_PROMPT, Bundle, probe_pixels
from app.model.engines import CLOSE, Engine, Floats, wanted

GPU = Path("/dev/nvidiactl")  # exists with NVIDIA's driver; cheaper to check than importing torch

INT8_FROM_BYTES = 100_000_000  # of the picture tower: smaller ones take milliseconds as they are
INT8_SHARE = 0.8  # of float32's time; a smaller gain is not worth different embeddings
INT8_SLACK = 0.001  # between its known cosine with float32 and that with the original

Rebuild = Callable[[Bundle], Any]
"""Rebuilds the open_clip model that a bundle was exported from; raises ExportError."""


def open_engine(
    name: str,
    bundle: Bundle,
    threads: int,
    data: Path,
    rebuild: Rebuild | None = None,
    *,
    bfloat16: bool | None = None,
    int8_from_bytes: int = INT8_FROM_BYTES,
) -> Engine:
    """Open the engine `name`, or choose one for "auto"; `data` is the cache of compiled models.

    The torch engine needs `rebuild`; without it, `auto` skips torch. `bfloat16` tells whether the processor supports
    it; None: ask OpenVINO. Without it, `auto` tries int8 for picture towers of `int8_from_bytes` or more.

    Raise EngineError if it is not installed, cannot run the bundle, or its embeddings differ from the original's.
    """
    if name == "auto":
        return _fastest(bundle, threads, data, rebuild, bfloat16, int8_from_bytes)
    if name == "onnxruntime-int8":
        return _int8(bundle, threads, data, wanted_share=None)
    engines = {
        "onnxruntime": lambda: _onnxruntime(bundle, threads),
        "openvino": lambda: _openvino(bundle, threads, data),
        "torch": lambda: _torch(bundle, threads, rebuild),
    }
    if name not in engines:
        raise EngineError(f"there is no engine {name!r}: auto, onnxruntime-int8, {', '.join(engines)} are there")
    return proved(bundle, engines[name]())


def _fastest(
    bundle: Bundle, threads: int, data: Path, rebuild: Rebuild | None, bfloat16: bool | None, int8_from_bytes: int
) -> Engine:
    """Open the first candidate that runs the bundle accurately enough; without a proof, the exact one."""
    candidates: list[Callable[[], Engine]] = []
    if rebuild and bundle.config.source and GPU.exists() and importlib.util.find_spec("torch"):
        candidates.append(lambda: proved(bundle, _torch(bundle, threads, rebuild)))
    large = (bundle.folder / "visual.onnx").stat().st_size >= int8_from_bytes
    if bundle.config.proof and large and not (_computes_bfloat16() if bfloat16 is None else bfloat16):
        candidates.append(lambda: _int8(bundle, threads, data, wanted_share=INT8_SHARE))
    if bundle.config.proof and importlib.util.find_spec("openvino"):
        candidates.append(lambda: proved(bundle, _openvino(bundle, threads, data)))
    for candidate in candidates:
        try:
            return candidate()
        except Exception as error:  # a candidate that fails for any reason is skipped
            get_logger().warning("engine rejected", reason=str(error))
    return proved(bundle, _onnxruntime(bundle, threads))


def proved(bundle: Bundle, engine: Engine, least: float | None = None) -> Engine:
    """Return the engine if its embeddings match the original model's; raise EngineError otherwise.

    `least` is the cosine similarity that it must reach; None: the bound of its precision.
    """
    proof, least = bundle.config.proof, wanted(engine.name) if least is None else least
    if proof is None:
        return engine
    picture = _cosine(engine.encode_pixels(probe_pixels(bundle.config.image_size)), proof.picture)
    prompt = _cosine(engine.encode_tokens(bundle.tokenize([PROBE_PROMPT])), proof.prompt)
    if not min(picture, prompt) >= least:
        raise EngineError(
            f"{bundle.folder} is not the model that it says it is: on {engine.name} the cosine with the original is "
            f"{picture:.6f} for a picture and {prompt:.6f} for a prompt, {least:g} is wanted"
        )
    return engine


def _cosine(embedding: Floats, original: tuple[float, ...]) -> float:
    """Return the cosine of an embedding (1, D) with a unit vector (D,); 0 if their sizes differ."""
    if embedding.shape != (1, len(original)):
        return 0.0
    return float(embedding[0] @ np.array(original) / max(float(np.linalg.norm(embedding)), 1e-12))


# An engine is imported when it is chosen: each costs a part of a second and tens of megabytes.


def _onnxruntime(bundle: Bundle, threads: int) -> Engine:
    from app.model.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, threads)


def _int8(bundle: Bundle, threads: int, data: Path, wanted_share: float | None) -> Engine:
    """Open int8, whose price is logged; with `wanted_share` only if it is close and takes less of float32's time."""
    from app.model.engines.int8 import kept_int8, open_int8

    graph, price = kept_int8(bundle, threads, data / "int8")
    if wanted_share is not None and not (price.least_cosine >= CLOSE and price.share <= wanted_share):
        raise EngineError(f"int8 is not close and fast enough, >= {CLOSE} and {wanted_share:.0%} of the time: {price}")
    get_logger().info("int8 instead of float32", price=str(price), **asdict(price))
    return proved(bundle, open_int8(bundle, threads, graph), price.least_cosine - INT8_SLACK)


def _torch(bundle: Bundle, threads: int, rebuild: Rebuild | None) -> Engine:
    if bundle.config.source is None:
        raise EngineError(
            f"the torch engine runs open_clip's models, and {bundle.config.name} is made of none: "
            "take LARDER_MODEL=open_clip:MODEL/PRETRAINED or another engine"
        )
    if importlib.util.find_spec("torch") is None:
        raise EngineError("PyTorch is not installed: pip install -r requirements-model.txt")
    if rebuild is None:
        raise EngineError("the torch engine needs a function that rebuilds the original model")
    from app.model.engines.torch import TorchEngine

    return TorchEngine(rebuild(bundle), threads)


def _computes_bfloat16() -> bool:
    """Return whether an installed engine computes in bfloat16 on this processor."""
    if importlib.util.find_spec("openvino") is None:
        return False
    from app.model.engines.openvino import computes_bfloat16

    return computes_bfloat16()


def _openvino(bundle: Bundle, threads: int, data: Path) -> Engine:
    if importlib.util.find_spec("openvino") is None:
        raise EngineError("OpenVINO is not installed: pip install openvino, or LARDER_ENGINE=onnxruntime")
    from app.model.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(bundle, threads, data / "openvino")
