"""The engines that verify a bundle: one at export, every installed one at a check."""

import importlib.util
from collections.abc import Callable
from functools import partial

from app.model.bundle import Bundle
from app.model.engines import Engine
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.settings import available_processors

EngineFactory = Callable[[Bundle], Engine]


def onnxruntime(bundle: Bundle) -> Engine:
    """The engine that decides at export: float32, and installed wherever serving is."""
    return OnnxRuntimeEngine(bundle, available_processors())


def installed_engines() -> list[EngineFactory]:
    """Every engine that is installed, in every precision it has here."""
    if importlib.util.find_spec("openvino") is None:
        return [onnxruntime]
    from app.model.engines.openvino import OpenVinoEngine

    fastest = partial(OpenVinoEngine, threads=available_processors())
    return [onnxruntime, partial(fastest, precision="f32"), fastest]
