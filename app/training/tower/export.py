"""Export the tower as an ONNX graph: normalised pictures to embeddings, weights in 16 bits."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from app.exporter.graph import write_graph

SIXTEEN_BITS, EIGHT_BITS = 1024, 1 << 15  # elements; smaller weights keep more bits


class Served(nn.Module):
    """Maps normalised pictures (N, 3, S, S) to embeddings (N, D), not yet normalised.

    Two tails share the front: the untouched one keeps its general knowledge, the tuned one knows the groceries.
    """

    def __init__(self, untouched: Any, tuned: Any, frozen: int, side: int, head: nn.Module) -> None:
        super().__init__()
        self.stem, side = folded(untouched._conv_stem, untouched._bn0, side)
        self.front, side = pieces(untouched._blocks[:frozen], side)
        self.tails = nn.ModuleList()
        for network in (untouched, tuned):
            blocks, after = pieces(network._blocks[frozen:], side)
            last, _ = folded(network._conv_head, network._bn1, after)
            self.tails.append(nn.Sequential(blocks, last, nn.ReLU6()))
        self.head = head
        for name, weight in self.named_parameters():
            weight.data = served(weight.data, coarse=name.startswith("tails.0"))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the embeddings."""
        maps = self.front(functional.relu6(self.stem(pixels)))
        embeddings: Tensor = self.head(torch.cat([tail(maps).mean((2, 3)) for tail in self.tails], dim=1))
        return embeddings


def served(weight: Tensor, coarse: bool) -> Tensor:
    """Round a weight so that every engine and storage format holds the same numbers.

    Large weights are rounded to bfloat16, which the fastest engine computes in and which float16 can hold; large
    matrices to 8 bits if `coarse`.
    """
    if coarse and weight.ndim > 1 and weight.numel() >= EIGHT_BITS:
        steps = steps_of(weight)
        return (weight / steps).round() * steps
    return weight.to(torch.bfloat16).half().float() if weight.numel() >= SIXTEEN_BITS else weight


def steps_of(weight: Tensor) -> Tensor:
    """Return for each row the smallest power of two whose whole multiples represent it in 8 bits: (rows, 1, ...).

    >>> steps_of(torch.tensor([[0.5, -127.0], [0.0, 0.9]])).flatten().tolist()
    [1.0, 0.0078125]
    """
    most = weight.abs().flatten(1).amax(1).clamp(min=1e-12) / 127
    return most.log2().ceil().exp2().view(-1, *(1 for _ in weight.shape[1:]))


def pieces(blocks: Any, side: int) -> tuple[nn.Sequential, int]:
    """Fold the batch norms into blocks; returns them and the side of their feature maps."""
    inner = []
    for block in blocks:
        piece, side = residual(block, side)
        inner.append(piece)
    return nn.Sequential(*inner), side


class Residual(nn.Module):
    """An inverted residual block of folded convolutions."""

    def __init__(self, layers: list[nn.Module], adds: bool) -> None:
        super().__init__()
        self.layers, self.adds = nn.Sequential(*layers), adds

    def forward(self, maps: Tensor) -> Tensor:
        """Transform feature maps."""
        change: Tensor = self.layers(maps)
        return maps + change if self.adds else change


def residual(block: Any, side: int) -> tuple[Residual, int]:
    """Fold the batch norms into one block; returns it and the side of its feature maps."""
    layers: list[nn.Module] = []
    if block._block_args.expand_ratio != 1:
        layers += [folded(block._expand_conv, block._bn0, side)[0], nn.ReLU6()]
    depthwise, after = folded(block._depthwise_conv, block._bn1, side)
    layers += [depthwise, nn.ReLU6(), folded(block._project_conv, block._bn2, after)[0]]
    first, last = block._expand_conv if len(layers) == 5 else block._depthwise_conv, block._project_conv
    return Residual(layers, after == side and first.in_channels == last.out_channels), after


def folded(layer: Any, norm: Any, side: int) -> tuple[nn.Module, int]:
    """Fold a batch norm into its convolution, padded as TensorFlow does for maps of this side."""
    plain = nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, groups=layer.groups, bias=False
    )
    plain.weight = copy.deepcopy(layer.weight)
    joined = fuse_conv_bn_eval(plain.eval(), copy.deepcopy(norm).eval())
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    after = -(-side // stride)
    padding = max((after - 1) * stride + kernel - side, 0)
    if padding % 2 == 0:
        joined.padding = (padding // 2, padding // 2)
        return joined, after
    return nn.Sequential(nn.ZeroPad2d((padding // 2, padding - padding // 2) * 2), joined), after


def write_visual(served: Served, size: int, path: Path) -> None:
    """Write `pixels` -> `embedding`; weights are stored in 8 and 16 bits and computed with in 32."""
    write_graph(served.eval(), torch.zeros(2, 3, size, size), "pixels", path)
    model = onnx.load(path)
    shrink(model.graph)
    onnx.save(model, path)


def shrink(graph: onnx.GraphProto) -> None:
    """Store large float32 weights in fewer bits without loss; engines constant-fold the added nodes at load."""
    made = []
    for weight in list(graph.initializer):
        values, name = numpy_helper.to_array(weight), weight.name
        if values.dtype != np.float32 or values.size < SIXTEEN_BITS:
            continue
        steps = steps_of(torch.from_numpy(values.copy())).numpy() if values.ndim > 1 else np.zeros(1, np.float32)
        if steps.all() and (values / steps == (values / steps).round()).all():
            weight.CopyFrom(numpy_helper.from_array((values / steps).astype(np.int8), name + "_8"))
            graph.initializer.append(numpy_helper.from_array(steps, name + "_steps"))
            made.append(onnx.helper.make_node("Cast", [name + "_8"], [name + "_whole"], to=onnx.TensorProto.FLOAT))
            made.append(onnx.helper.make_node("Mul", [name + "_whole", name + "_steps"], [name]))
        else:
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + "_16"))
            made.append(onnx.helper.make_node("Cast", [name + "_16"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*made, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
