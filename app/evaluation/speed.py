"""Milliseconds of one picture through a picture tower or a head, on this machine."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from app.bundle import Bundle, probe_pixels
from app.engines.onnxruntime import OnnxRuntimeEngine
from app.exporter.quiet import quiet

ROUNDS = 30


def milliseconds(run: Callable[[], object]) -> float:
    """The median of some calls, after a few to warm up."""
    times = []
    for _ in range(ROUNDS + 3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[3:]))


def bundle_milliseconds(bundle: Bundle, threads: int) -> float:
    """The same of a bundle's picture tower on ONNX Runtime."""
    engine, pixels = OnnxRuntimeEngine(bundle, threads), probe_pixels(bundle.config.image_size)
    return milliseconds(lambda: engine.encode_pixels(pixels))


def network_milliseconds(model: nn.Module, size: int, threads: int) -> float:
    """The same of a torch network, exported to ONNX so that both have one runtime."""
    pixels = probe_pixels(size)
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            model.eval(), (torch.from_numpy(pixels),), path, dynamo=True, input_names=["pixels"], verbose=False
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return milliseconds(lambda: session.run(None, {"pixels": pixels}))
