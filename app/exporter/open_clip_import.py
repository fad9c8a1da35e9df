"""Import open_clip also where torchvision is built for CUDA and torch is not."""

import importlib
from functools import cache
from types import ModuleType
from typing import Any

import torch

_OPERATORS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


@cache  # torch forgets the operators together with their library
def declare_torchvision_operators() -> object:
    """Make torchvision importable, which open_clip and timm import; returns what has to stay in memory for that.

    It registers itself with operators that its CUDA build brings compiled. Beside a CPU torch they fail to load, and
    its import dies with "operator torchvision::nms does not exist", although nothing here needs one of them. Declared
    beforehand, they are there to be registered with.
    """
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator, signature in _OPERATORS.items():
        if not hasattr(torch.ops.torchvision, operator):
            library.define(operator + signature)
    return library


def import_open_clip() -> ModuleType:
    """The module open_clip; raises ImportError where it is not installed."""
    declare_torchvision_operators()
    return importlib.import_module("open_clip")
