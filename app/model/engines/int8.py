"""A picture tower with int8 matrix products, for processors that do not support bfloat16.

ONNX Runtime's quantizer creates it once from the bundle's graph; the file is kept beside the prompt cache, with its
price, the accuracy and time compared with float32. Activations are quantized dynamically, each tensor by its own range.
Weights have 7 bits, by output channel: with 8 the products of AVX2 saturate. The text tower stays float32, as its
embeddings are cached and computed once.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.atomic import atomic_write
from app.errors import EngineError, LarderError
from app.log import get_logger, only_errors
from app.model.bundle import Bundle, sha256_of
from app.model.engines.compare import BATCH, cosines, encode_all, milliseconds
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.model.probes import probe_pictures

REQUIREMENTS = "requirements-hub.txt"


@dataclass(frozen=True)
class Price:
    """Accuracy and time of int8 compared with float32, on drawn pictures and the machine that created it."""

    least_cosine: float
    mean_cosine: float
    int8_ms: tuple[float, float]
    """Milliseconds per picture: alone, and in a batch of 8."""
    float32_ms: tuple[float, float]

    @property
    def share(self) -> float:
        """The ratio to float32's time, alone or in a batch, whichever is larger."""
        return max(mine / other for mine, other in zip(self.int8_ms, self.float32_ms, strict=True))

    def __str__(self) -> str:
        (one, many), (slow_one, slow_many) = self.int8_ms, self.float32_ms
        return (
            f"cosine to float32 {self.least_cosine:.5f} at least, {self.mean_cosine:.5f} on average; "
            f"{one:.1f} ms instead of {slow_one:.1f} for one picture, {many:.1f} instead of {slow_many:.1f} "
            f"each in a batch of {BATCH}"
        )


def kept_int8(bundle: Bundle, threads: int, folder: Path) -> tuple[Path, Price]:
    """Return the int8 graph of a bundle's picture tower in `folder`, and its price; created if no valid one is there.

    Raise EngineError if it cannot be created or stored.
    """
    graph, note = folder / f"{bundle.checksum}.onnx", folder / f"{bundle.checksum}.json"
    try:
        return graph, _read_price(bundle, graph, note)
    except FileNotFoundError:  # the first start of this bundle
        pass
    except (OSError, ValueError, TypeError, KeyError) as error:
        get_logger().warning("int8 graph refused, made again", file=str(graph), reason=str(error))
    start = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(graph) as part:
            _quantise(bundle.folder / "visual.onnx", part)
        price = _measure(bundle, threads, graph)
        with atomic_write(note) as part:  # last: it marks the graph as complete
            values = asdict(price) | {"bundle": bundle.checksum, "sha256": sha256_of(graph)}
            part.write_text(json.dumps(values) + "\n", encoding="utf-8")
    except (OSError, LarderError) as error:
        raise EngineError(f"no int8 graph of {bundle.config.name} in {folder}: {error}") from error
    get_logger().info("int8 graph made", file=str(graph), seconds=round(time.monotonic() - start, 1))
    return graph, price


def open_int8(bundle: Bundle, threads: int, graph: Path) -> OnnxRuntimeEngine:
    """Return the engine that runs an int8 graph; raise EngineError if it cannot be loaded."""
    return OnnxRuntimeEngine(bundle, threads, graph, "onnxruntime int8")


def _read_price(bundle: Bundle, graph: Path, note: Path) -> Price:
    """Return the price of the stored graph; raise FileNotFoundError without one, ValueError for another graph's."""
    values: dict[str, Any] = json.loads(note.read_bytes())
    for what, found in (("bundle", bundle.checksum), ("sha256", sha256_of(graph))):
        if found != (expected := values.pop(what)):
            raise ValueError(f"{what} {found[:12]}… was found, {expected[:12]}… is in {note.name}")
    return Price(values["least_cosine"], values["mean_cosine"], tuple(values["int8_ms"]), tuple(values["float32_ms"]))


def _measure(bundle: Bundle, threads: int, graph: Path) -> Price:
    """Measure int8 and float32 on the same pictures."""
    engines = {"int8": open_int8(bundle, threads, graph), "float32": OnnxRuntimeEngine(bundle, threads)}
    pixels = probe_pictures(bundle.config.image_form)
    mine, exact = (encode_all(engine.encode_pixels, pixels) for engine in engines.values())
    found = cosines(mine, exact)
    one, many = (milliseconds(engines, pixels[:count]) for count in (1, BATCH))
    times = {name: (round(one[name], 2), round(many[name] / BATCH, 2)) for name in engines}
    return Price(
        round(float(found.min()), 6), round(float(found.mean()), 6), int8_ms=times["int8"], float32_ms=times["float32"]
    )


def _quantise(source: Path, target: Path) -> None:
    """Write the graph with int8 weights; raise EngineError."""
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise EngineError(f"making it needs onnx: pip install -r {REQUIREMENTS}") from error
    try:
        model = onnx.load(source)
        del model.graph.value_info[:]  # inferred shapes contradict the quantizer's transposed weights
        with only_errors():  # it logs a line for each tensor
            quantize_dynamic(
                model,
                target,
                op_types_to_quantize=["MatMul", "Gemm"],
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
            )
    except Exception as error:  # onnx, protobuf and the quantiser share no base
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise EngineError(f"ONNX Runtime cannot load {source} to quantise it: {reason}") from error
