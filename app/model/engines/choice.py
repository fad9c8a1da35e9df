"""Which engine runs a bundle: the one that the settings name, or the fastest that is installed and exact enough.

OpenVINO in bfloat16 is the fastest on processors that compute in it: see docs/decisions/0004-engines.md. Whether it is
exact enough is not assumed but tried at every start, against the vectors that the original model itself gave.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import EngineError
from app.log import get_logger
from app.model.bundle import PROBE_PROMPT, Bundle, probe_pixels
from app.model.engines import Engine, Floats, wanted

GPU = Path("/dev/nvidiactl")  # there where NVIDIA's driver is: cheaper to look at than importing torch

Rebuild = Callable[[Bundle], Any]
"""Rebuilds the open_clip model that a bundle was exported from; raises ExportError."""


def open_engine(name: str, bundle: Bundle, threads: int, data: Path, rebuild: Rebuild | None = None) -> Engine:
    """The engine `name`, "auto" included; `data` is where compiled models are kept.

    The torch engine needs `rebuild`; without it, `auto` leaves torch out.

    Raises EngineError when it is not installed, cannot run the bundle, or gives other vectors than the original.
    """
    if name == "auto":
        return _fastest(bundle, threads, data, rebuild)
    engines = {
        "onnxruntime": lambda: _onnxruntime(bundle, threads),
        "openvino": lambda: _openvino(bundle, threads, data),
        "torch": lambda: _torch(bundle, threads, rebuild),
    }
    if name not in engines:
        raise EngineError(f"there is no engine {name!r}: auto, {', '.join(engines)} are there")
    return proved(bundle, engines[name]())


def _fastest(bundle: Bundle, threads: int, data: Path, rebuild: Rebuild | None) -> Engine:
    """The first candidate that runs the bundle and is exact enough; a bundle without a proof has the exact one."""
    candidates: list[Callable[[], Engine]] = []
    if rebuild and bundle.config.source and GPU.exists() and importlib.util.find_spec("torch"):
        candidates.append(lambda: _torch(bundle, threads, rebuild))
    if bundle.config.proof and importlib.util.find_spec("openvino"):
        candidates.append(lambda: _openvino(bundle, threads, data))
    for candidate in candidates:
        try:
            return proved(bundle, candidate())
        except Exception as error:  # what cannot be tried, for whatever reason, is not the fastest
            get_logger().warning("engine rejected", reason=str(error))
    return proved(bundle, _onnxruntime(bundle, threads))


def proved(bundle: Bundle, engine: Engine) -> Engine:
    """The engine, when it answers as the original model did; raises EngineError when it does not."""
    proof = bundle.config.proof
    if proof is None:
        return engine
    picture = _cosine(engine.encode_pixels(probe_pixels(bundle.config.image_size)), proof.picture)
    prompt = _cosine(engine.encode_tokens(bundle.tokenize([PROBE_PROMPT])), proof.prompt)
    if not min(picture, prompt) >= wanted(engine.name):
        raise EngineError(
            f"{bundle.folder} is not the model that it says it is: on {engine.name} the cosine with the original is "
            f"{picture:.6f} for a picture and {prompt:.6f} for a prompt, {wanted(engine.name)} is wanted"
        )
    return engine


def _cosine(embedding: Floats, original: tuple[float, ...]) -> float:
    """The cosine of an embedding (1, D) with a unit vector (D,); 0 where their sizes differ."""
    if embedding.shape != (1, len(original)):
        return 0.0
    return float(embedding[0] @ np.array(original) / max(float(np.linalg.norm(embedding)), 1e-12))


# An engine is imported when it is chosen: each costs a part of a second and tens of megabytes.


def _onnxruntime(bundle: Bundle, threads: int) -> Engine:
    from app.model.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, threads)


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


def _openvino(bundle: Bundle, threads: int, data: Path) -> Engine:
    if importlib.util.find_spec("openvino") is None:
        raise EngineError("OpenVINO is not installed: pip install openvino, or LARDER_ENGINE=onnxruntime")
    from app.model.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(bundle, threads, data / "openvino")
