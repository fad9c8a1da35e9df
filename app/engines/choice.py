"""Which engine runs a bundle: the one that the settings name, or the fastest that is installed and exact enough.

OpenVINO in bfloat16 is the fastest on processors that compute in it: see docs/decisions/engines.md. Whether it is exact
enough is not assumed but tried, once for a bundle, an engine and its version; the verdict is kept in the data folder.
"""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.bundle import Bundle
from app.engines import Engine, Floats
from app.errors import EngineError
from app.log import get_logger

EXACT = 0.999  # the least cosine with the float32 reference
GPU = Path("/dev/nvidiactl")  # there where NVIDIA's driver is: cheaper to look at than importing torch
_PROMPTS = [
    "red",
    "a photo of a green apple.",
    "a black dog on a lawn",
    "a white carton of oat milk, standing on a shelf",
]


def open_engine(name: str, bundle: Bundle, threads: int, data: Path) -> Engine:
    """The engine `name`, "auto" included; `data` is where compiled models and verdicts are kept.

    Raises EngineError when it is not installed or cannot run the bundle.
    """
    if name == "onnxruntime":
        return _onnxruntime(bundle, threads)
    if name == "openvino":
        return _openvino(bundle, threads, data)
    if name == "torch":
        return _torch(bundle, threads)
    if name == "auto":
        return _fastest(bundle, threads, data)
    raise EngineError(f"there is no engine {name!r}: auto, onnxruntime, openvino and torch are there")


def _fastest(bundle: Bundle, threads: int, data: Path) -> Engine:
    """The first of the candidates that runs the bundle and is exact enough; the last always is."""
    candidates: list[Callable[[], Engine]] = []
    if bundle.config.source and GPU.exists() and importlib.util.find_spec("torch"):
        candidates.append(lambda: _torch(bundle, threads))
    if importlib.util.find_spec("openvino"):
        candidates.append(lambda: _openvino(bundle, threads, data))
    for candidate in candidates:
        try:
            engine = candidate()
            cosine = _remembered(bundle, engine, data / "engines.json", threads)
        except Exception as error:  # what cannot be tried, for whatever reason, is not the fastest
            get_logger().warning("an engine is passed over", reason=str(error))
            continue
        if cosine >= EXACT:
            return engine
        get_logger().warning("an engine is passed over", reason=f"{engine.name} has a cosine of {cosine:.5f} only")
    return _onnxruntime(bundle, threads)


def _remembered(bundle: Bundle, engine: Engine, path: Path, threads: int) -> float:
    """The cosine of an engine with the reference, from the file of verdicts or into it."""
    key = f"{bundle.checksum} {engine.name}"
    try:
        verdicts = json.loads(path.read_text())
        return float(verdicts[key])
    except (OSError, ValueError, KeyError, TypeError):
        verdicts = {}
    cosine = least_cosine(bundle, engine, _onnxruntime(bundle, threads))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(verdicts | {key: cosine}))
    except OSError as error:
        get_logger().warning("the engine's verdict is not kept", reason=str(error))
    return cosine


def least_cosine(bundle: Bundle, engine: Engine, reference: Engine) -> float:
    """The least cosine between two engines' embeddings, over drawn pictures and a few prompts."""
    pixels = _pictures(bundle.config.image_size)
    tokens = bundle.tokenize(_PROMPTS)
    pairs = [
        (engine.encode_pixels(pixels), reference.encode_pixels(pixels)),
        (engine.encode_tokens(tokens), reference.encode_tokens(tokens)),
    ]
    return min(float(_cosines(one, other).min()) for one, other in pairs)


def _pictures(size: int) -> Floats:
    """Eight preprocessed pictures (8, 3, size, size), from smooth to rough."""
    rng = np.random.default_rng(0)
    pictures = []
    for cells in (1, 2, 4, 8, 16, 32, 64, size):
        coarse = rng.normal(size=(3, cells, cells))
        rows = np.arange(size) * cells // size
        pictures.append(coarse[:, rows][:, :, rows])
    return np.stack(pictures).astype(np.float32)


def _cosines(one: Floats, other: Floats) -> Floats:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / np.maximum(lengths, 1e-12))


# An engine is imported when it is chosen: each costs a part of a second and tens of megabytes.


def _onnxruntime(bundle: Bundle, threads: int) -> Engine:
    from app.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, threads)


def _torch(bundle: Bundle, threads: int) -> Engine:
    if bundle.config.source is None:
        raise EngineError(
            f"the torch engine runs open_clip's models, and {bundle.config.name} is made of none: "
            "take LARDER_MODEL=open_clip:MODEL/PRETRAINED or another engine"
        )
    if importlib.util.find_spec("torch") is None:
        raise EngineError("PyTorch is not installed: pip install -r requirements-model.txt")
    from app.engines.torch import TorchEngine
    from app.exporter.recheck import rebuild

    return TorchEngine(rebuild(bundle, None, lambda line: get_logger().info(line)).model, threads)


def _openvino(bundle: Bundle, threads: int, data: Path) -> Engine:
    if importlib.util.find_spec("openvino") is None:
        raise EngineError("OpenVINO is not installed: pip install openvino, or LARDER_ENGINE=onnxruntime")
    from app.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(bundle, threads, data / "openvino")
