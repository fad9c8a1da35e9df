"""The picture tower on each engine, compared with the limit of the processor's arithmetic.

    python -m benchmarks.engine --model ViT-B-32-none

The limit is the graph's multiplications and additions over the measured rate of a large matrix product, in bfloat16 or
float32, whichever is faster here. The engines alternate, so that a drifting processor speed affects all alike.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch

from app.model.bundle import Bundle, find_bundle, open_bundle
from app.model.engines import Engine, compare, wanted
from app.model.engines.compare import encode_all
from app.model.engines.int8 import kept_int8, open_int8
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.model.engines.openvino import OpenVinoEngine, computes_bfloat16
from app.model.probes import probe_pictures
from app.settings import available_processors
from benchmarks import rows

BATCHES = (1, 8, 16)
TURNS = 7


def matrix_rate(threads: int, kind: torch.dtype, size: int = 2048) -> float:
    """Return the floating-point operations per second of a matrix product, the best of five."""
    torch.set_num_threads(threads)
    one, other = torch.randn(size, size).to(kind), torch.randn(size, size).to(kind)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        one @ other
        seconds.append(time.perf_counter() - start)
    return float(2 * size**3 / min(seconds[1:]))


def operations(path: Path) -> float:
    """Return the floating-point operations of a graph's matrix products and convolutions for one picture."""
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


def engines(bundle: Bundle, threads: int, cache: Path) -> dict[str, Engine]:
    """Return every engine and precision that runs here, the reference first."""
    precisions = ("f32", "bf16") if computes_bfloat16() else ("f32",)
    all_of_them: list[Engine] = [OnnxRuntimeEngine(bundle, threads)]
    all_of_them += [OpenVinoEngine(bundle, threads, cache, precision) for precision in precisions]
    all_of_them.append(open_int8(bundle, threads, kept_int8(bundle, threads, cache / "int8")[0]))
    return {engine.name: engine for engine in all_of_them}


def int8_row(model: str, cosines: dict[str, float], times: dict[int, dict[str, float]]) -> rows.Row:
    """Compare int8 with float32, both on ONNX Runtime."""
    exact, int8 = "onnxruntime float32", "onnxruntime int8"
    share = max(times[batch][int8] / times[batch][exact] for batch in (1, 8))
    ours, other = (f"{times[1][name]:.1f} ms, {times[8][name] / 8:.1f} each of 8" for name in (int8, exact))
    what, wanted_ = f"{model} in int8, where there is no bfloat16", "<= 0.5 x float32, the cosine said"
    return rows.Row(what, wanted_, f"{ours}: {share:.2f} x; cosine >= {cosines[int8]:.5f}", other, share <= 0.5)


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
        probes = probe_pictures(bundle.config.image_form)
        exact_vectors = encode_all(reference.encode_pixels, probes)
        cosines = {
            name: float(compare.cosines(encode_all(engine.encode_pixels, probes), exact_vectors).min())
            for name, engine in found.items()
        }
        times: dict[int, dict[str, float]] = {}
        for batch in BATCHES:
            pixels = np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)
            times[batch] = compare.milliseconds(found, pixels, TURNS)
    kinds = [torch.float32] + [torch.bfloat16] * computes_bfloat16()  # emulated, it takes minutes
    rates = {kind: matrix_rate(threads, kind) for kind in kinds}
    kind, rate = max(rates.items(), key=lambda item: item[1])
    work = operations(bundle.folder / "visual.onnx")
    limit = 1000 * work / rate
    print(f"{bundle.config.name}: {work / 1e9:.2f} GFLOP a picture, without the attention's own products.")
    print(f"{threads} processors multiply {str(kind).removeprefix('torch.')} matrices at {rate / 1e12:.2f} TFLOP/s.")
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
    best_row = rows.Row("engine, best batch", "<= 1.4 x the limit", *sides, ratio <= 1.4)
    fastest = min(exact, key=lambda name: times[1][name])
    sides = (f"{fastest}: {times[1][fastest]:.1f} ms", f"float32 {times[1][reference.name]:.1f} ms")
    one_row = rows.Row("engine, batch 1", "bfloat16 where the processor has it", *sides)
    rows.hand_in(options.rows, [one_row, best_row, int8_row(bundle.config.name, cosines, times)])


if __name__ == "__main__":
    main()
