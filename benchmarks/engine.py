"""The picture tower on each engine, beside what the processor's arithmetic allows.

    python -m benchmarks.engine --model ViT-B-32-none

The limit is the graph's multiplications and additions over the measured rate of a large bfloat16 matrix product. The
engines are run in turns, so that a machine whose speed drifts is unjust to none.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch

from app.model.bundle import Bundle, find_bundle, open_bundle
from app.model.encoder import unit
from app.model.engines import Engine, Floats, wanted
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.model.engines.openvino import OpenVinoEngine
from app.settings import available_processors
from benchmarks import rows

BATCHES = (1, 8, 16)
TURNS = 7


def matrix_rate(threads: int, size: int = 4096) -> float:
    """Floating-point operations a second of a bfloat16 matrix product, the best of five."""
    torch.set_num_threads(threads)
    one, other = torch.randn(size, size, dtype=torch.bfloat16), torch.randn(size, size, dtype=torch.bfloat16)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        one @ other
        seconds.append(time.perf_counter() - start)
    return float(2 * size**3 / min(seconds[1:]))


def operations(path: Path) -> float:
    """The floating-point operations of a graph's matrix products and convolutions for one picture."""
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [each.dim_value for each in value.type.tensor_type.shape.dim] for value in inferred.value_info
    }
    shapes |= {value.name: [each.dim_value for each in value.type.tensor_type.shape.dim] for value in inferred.output}
    shapes |= {value.name: list(value.dims) for value in inferred.initializer}
    total = 0.0
    for node in inferred.node:
        if node.op_type in ("MatMul", "Gemm", "Conv") and node.output[0] in shapes and node.input[1] in shapes:
            weight = shapes[node.input[1]]
            outputs = float(np.prod(shapes[node.output[0]]))
            inner = np.prod(weight[1:]) if node.op_type == "Conv" else weight[-2]
            if node.op_type == "Gemm" and any(each.name == "transB" and each.i for each in node.attribute):
                inner = weight[-1]
            total += 2 * outputs * float(inner)
    return total


def in_turns(engines: dict[str, Engine], pixels: Floats) -> dict[str, float]:
    """The median milliseconds of each engine for the pictures (N, 3, S, S), one call of each after another."""
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(TURNS + 2):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine.encode_pixels(pixels)
            if turn >= 2:
                taken[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(each) for name, each in taken.items()}


def least_cosine(one: Engine, other: Engine, size: int) -> float:
    """The least cosine between two engines' embeddings of eight noisy pictures."""
    pixels = np.random.default_rng(1).normal(size=(8, 3, size, size)).astype(np.float32)
    vectors, others = unit(one.encode_pixels(pixels)), unit(other.encode_pixels(pixels))
    return float((vectors * others).sum(axis=1).min())


def engines(bundle: Bundle, threads: int, cache: Path) -> dict[str, Engine]:
    """Every engine and precision that runs here, the reference first."""
    all_of_them: list[Engine] = [OnnxRuntimeEngine(bundle, threads)]
    all_of_them += [OpenVinoEngine(bundle, threads, cache, precision) for precision in ("f32", "bf16")]
    return {engine.name: engine for engine in all_of_them}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32-none", help="the bundle to run")
    rows.add_option(parser)
    options = parser.parse_args()
    bundle, threads = open_bundle(find_bundle(options.model)), available_processors()
    size = bundle.config.image_size
    with tempfile.TemporaryDirectory() as cache:
        found = engines(bundle, threads, Path(cache))
        reference = next(iter(found.values()))
        cosines = {name: least_cosine(engine, reference, size) for name, engine in found.items()}
        times: dict[int, dict[str, float]] = {}
        for batch in BATCHES:
            pixels = np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)
            times[batch] = in_turns(found, pixels)
    rate, work = matrix_rate(threads), operations(bundle.folder / "visual.onnx")
    limit = 1000 * work / rate
    print(f"{bundle.config.name}: {work / 1e9:.2f} GFLOP a picture, without the attention's own products.")
    print(f"{threads} processors multiply bfloat16 matrices at {rate / 1e12:.2f} TFLOP/s.")
    print(f"The arithmetic limit is {limit:.2f} ms a picture.")
    print("Milliseconds a picture, and how many times the limit:")
    print(f"{'engine':<28}{'cosine':>10}" + "".join(f"{f'batch {batch}':>18}" for batch in BATCHES))
    for name in found:
        cells = "".join(f"{times[b][name] / b:>10.2f} = {times[b][name] / b / limit:>4.2f}x" for b in BATCHES)
        print(
            f"{name:<28}{cosines[name]:>10.6f}{cells}" + ("" if cosines[name] >= wanted(name) else "  not exact enough")
        )
    exact = [name for name in found if cosines[name] >= wanted(name)]
    ratio, best = min((times[batch][name] / batch / limit, name) for batch in BATCHES for name in exact)
    sides = (f"{best}: {ratio:.2f} x", f"limit {limit:.2f} ms a picture")
    rows.hand_in(options.rows, [rows.Row("engine, best batch", "<= 1.4 x the limit", *sides, ratio <= 1.4)])


if __name__ == "__main__":
    main()
