"""Measure the processor time of one picture through a network or a head, ms."""

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from torch import nn

from app.log import quiet
from app.model.bundle import Bundle, probe_pixels
from app.model.engines.onnxruntime import OnnxRuntimeEngine

ROUNDS = 30


def milliseconds(run: Callable[[], object]) -> float:
    """Return the minimum over some calls, after a few warm-up calls."""
    times = []
    for _ in range(ROUNDS + 3):
        start = time.process_time()  # processor time, because other processes add to the wall time
        run()
        times.append(time.process_time() - start)
    return 1000 * min(times[3:])


def bundle_milliseconds(bundle: Bundle) -> float:
    """Measure a bundle's picture tower on ONNX Runtime."""
    engine, pixels = OnnxRuntimeEngine(bundle, threads=1), probe_pixels(bundle.config.image_size)
    return milliseconds(lambda: engine.encode_pixels(pixels))


def network_milliseconds(model: nn.Module, size: int) -> float:
    """Measure a torch network, exported to ONNX so that both use one runtime."""
    pixels = probe_pixels(size)
    with tempfile.TemporaryDirectory() as folder, quiet(), warnings.catch_warnings(action="ignore"):
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            model.eval(), (torch.from_numpy(pixels),), path, dynamo=True, input_names=["pixels"], verbose=False
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return milliseconds(lambda: session.run(None, {"pixels": pixels}))
