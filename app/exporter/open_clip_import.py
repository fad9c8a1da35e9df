"""Import open_clip, also if torchvision is built for CUDA and torch is not."""

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
    """Make torchvision importable, which open_clip and timm import; the return value must stay alive.

    torchvision registers kernels for operators that its CUDA build defines. With a CPU torch the definitions fail to
    load, and the import raises "operator torchvision::nms does not exist", although nothing here needs these operators.
    Declared beforehand, they exist.
    """
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator, signature in _OPERATORS.items():
        if not hasattr(torch.ops.torchvision, operator):
            library.define(operator + signature)
    return library


def import_open_clip() -> ModuleType:
    """Import open_clip; raises ImportError if it is not installed."""
    declare_torchvision_operators()
    return importlib.import_module("open_clip")
