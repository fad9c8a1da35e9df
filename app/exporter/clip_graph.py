"""Write CLIP's two towers as ONNX graphs from the weights, operator by operator.

The graphs equal those of `app.exporter.towers`: separate products for query, key and value with the scale folded in, a
last block that computes only the class token, and a text tower that stops at the last end of text in the batch.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from app.exporter.clip_vit import ClipViT, Tower
from app.model.engines import Floats

OPSET = 20  # the first with Gelu as one operator
_LARGEST = 1_500_000_000  # bytes of weights in the graph's own file, which ends at 2 GB


class _Graph:
    """A graph under construction; each method adds operators and returns the name of the result."""

    def __init__(self, model: ClipViT, tower: Tower) -> None:
        self.model = model
        self.tower = tower
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def add(self, operator: str, *inputs: "str | np.ndarray", result: str = "", **attributes: Any) -> str:
        """Add one operator; arrays among its inputs become constants."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        result = result or f"{operator}_{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(operator, names, [result], name=f"{operator}_{len(self._nodes)}", **attributes)
        )
        return result

    def _constant(self, value: np.ndarray) -> str:
        small = value.tobytes() if value.size <= 4 else None
        name = (
            f"constant_{value.dtype}_{value.shape}_{small.hex()}"
            if small is not None
            else f"weight_{len(self._constants)}"
        )
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def linear(self, x: str, weight: Floats, bias: Floats) -> str:
        """Linear layer: (..., I) to (..., O) by a weight (O, I)."""
        return self.add("Add", self.add("MatMul", x, weight.T), bias)

    def norm(self, x: str, name: str) -> str:
        """Layer normalisation over the last axis."""
        weight, bias = self.model.weights[name + ".weight"], self.model.weights[name + ".bias"]
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=1e-5)

    def block(self, x: str, name: str, mask: str | None = None, *, first_row: bool = False) -> str:
        """Transformer block: (N, L, W) to (N, L, W); with `first_row` only its first row, (N, 1, W)."""
        normed = self.norm(x, name + "ln_1")
        queries = normed
        if first_row:
            x, queries = self.rows(x), self.rows(normed)
        x = self.add("Add", x, self.attention(queries, normed, name + "attn.", mask))
        w = self.model.weights
        hidden = self.linear(self.norm(x, name + "ln_2"), w[name + "mlp.c_fc.weight"], w[name + "mlp.c_fc.bias"])
        hidden = self.activation(hidden)
        return self.add("Add", x, self.linear(hidden, w[name + "mlp.c_proj.weight"], w[name + "mlp.c_proj.bias"]))

    def rows(self, x: str) -> str:
        """Return the first row of each: (N, L, W) to (N, 1, W)."""
        return self.add("Slice", x, _ints(0), _ints(1), _ints(1))

    def attention(self, queries: str, x: str, name: str, mask: str | None) -> str:
        """Attention of queries (N, Q, W) to keys and values (N, L, W): (N, Q, W)."""
        w, heads, width = self.model.weights, self.tower.heads, self.tower.width
        scale = np.float32((width // heads) ** -0.5)
        (wq, wk, wv), (bq, bk, bv) = np.split(w[name + "in_proj_weight"], 3), np.split(w[name + "in_proj_bias"], 3)

        def split(rows: str, weight: Floats, bias: Floats, order: list[int]) -> str:
            apart = self.add("Reshape", self.linear(rows, weight, bias), _ints(0, 0, heads, width // heads))
            return self.add("Transpose", apart, perm=order)

        q = split(queries, wq * scale, bq * scale, [0, 2, 1, 3])  # (N, H, Q, W / H)
        k = split(x, wk, bk, [0, 2, 3, 1])  # (N, H, W / H, L)
        v = split(x, wv, bv, [0, 2, 1, 3])  # (N, H, L, W / H)
        logits = self.add("MatMul", q, k)  # (N, H, Q, L)
        if mask:
            logits = self.add("Add", logits, mask)
        mixed = self.add("MatMul", self.add("Softmax", logits, axis=-1), v)  # (N, H, Q, W / H)
        joined = self.add("Reshape", self.add("Transpose", mixed, perm=[0, 2, 1, 3]), _ints(0, 0, width))
        return self.linear(joined, w[name + "out_proj.weight"], w[name + "out_proj.bias"])

    def activation(self, x: str) -> str:
        """GELU, or CLIP's QuickGELU."""
        if not self.model.config.quick_gelu:
            return self.add("Gelu", x)
        return self.add("Mul", x, self.add("Sigmoid", self.add("Mul", x, np.array(1.702, np.float32))))

    def save(self, path: Path, name: str, kind: int, shape: list[int], largest: int) -> None:
        """Write the graph; weights of more than `largest` bytes go to a separate file beside it."""
        argument = helper.make_tensor_value_info(name, kind, ["batch", *shape])
        embedding = helper.make_tensor_value_info(
            "embedding", TensorProto.FLOAT, ["batch", self.model.config.embed_dim]
        )
        graph = helper.make_graph(self._nodes, "tower", [argument], [embedding], list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        beside = sum(len(constant.raw_data) for constant in self._constants.values()) > largest
        onnx.save(model, path, save_as_external_data=beside, location=f"{path.name}.data" if beside else None)


def write_visual(model: ClipViT, path: Path, largest: int = _LARGEST) -> None:
    """Write `pixels` (N, 3, S, S) to `embedding` (N, D)."""
    config, w, tower = model.config, model.weights, model.config.vision
    graph, size = _Graph(model, tower), config.patch_size
    patches = graph.add("Conv", "pixels", w["visual.conv1.weight"], strides=[size, size], kernel_shape=[size, size])
    patches = graph.add("Reshape", patches, _ints(0, tower.width, (config.image_size // size) ** 2))
    patches = graph.add("Transpose", patches, perm=[0, 2, 1])  # (N, L - 1, W)
    batch = graph.add("Concat", graph.add("Shape", "pixels", start=0, end=1), _ints(1), _ints(1), axis=0)
    first = graph.add("Expand", w["visual.class_embedding"].reshape(1, 1, -1), batch)
    x = graph.add("Concat", first, patches, axis=1)  # (N, L, W)
    x = graph.norm(graph.add("Add", x, w["visual.positional_embedding"]), "visual.ln_pre")
    for layer in range(tower.layers):
        x = graph.block(x, f"visual.transformer.resblocks.{layer}.", first_row=layer == tower.layers - 1)
    x = graph.add("Gather", graph.norm(x, "visual.ln_post"), np.array(0), axis=1)  # (N, W)
    graph.add("MatMul", x, w["visual.proj"], result="embedding")
    graph.save(path, "pixels", TensorProto.FLOAT, [3, config.image_size, config.image_size], largest)


def write_text(model: ClipViT, path: Path, largest: int = _LARGEST) -> None:
    """Write `tokens` (N, L) to `embedding` (N, D)."""
    config, w, tower = model.config, model.weights, model.config.text
    graph, length = _Graph(model, tower), config.context_length
    ends = graph.add("ArgMax", "tokens", axis=-1, keepdims=0)  # (N,): the end of text has the highest id
    stop = graph.add("Add", graph.add("ReduceMax", ends, keepdims=0), np.array(1))
    stop = graph.add("Reshape", stop, _ints(1))
    tokens = graph.add("Slice", "tokens", _ints(0), stop, _ints(1))  # (N, l)
    x = graph.add("Gather", w["token_embedding.weight"], tokens, axis=0)  # (N, l, W)
    x = graph.add("Add", x, graph.add("Slice", w["positional_embedding"], _ints(0), stop, _ints(0)))
    causal = np.triu(np.full((length, length), -np.inf, np.float32), 1)
    mask = graph.add("Slice", graph.add("Slice", causal, _ints(0), stop, _ints(0)), _ints(0), stop, _ints(1))  # (l, l)
    for layer in range(tower.layers):
        x = graph.block(x, f"transformer.resblocks.{layer}.", mask)
    places = graph.add("Expand", graph.add("Unsqueeze", ends, _ints(1, 2)), _ints(1, 1, tower.width))
    x = graph.add("Gather", graph.add("GatherElements", x, places, axis=1), np.array(0), axis=1)  # (N, W)
    graph.add("MatMul", graph.norm(x, "ln_final"), w["text_projection"], result="embedding")
    graph.save(path, "tokens", TensorProto.INT64, [length], largest)


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)
