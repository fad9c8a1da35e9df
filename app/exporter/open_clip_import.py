"""Import open_clip also where torchvision is built for CUDA and torch is not."""

import importlib
from types import ModuleType
from typing import Any

import torch

_OPERATORS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def import_open_clip() -> ModuleType:
    """The module open_clip; raises ImportError where it is not installed.

    torchvision registers itself with operators that its CUDA build brings compiled. Beside a CPU torch they fail to
    load, and its import dies with "operator torchvision::nms does not exist", although open_clip needs none of them.
    Declared beforehand, they are there to be registered with.
    """
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator, signature in _OPERATORS.items():
        if not hasattr(torch.ops.torchvision, operator):
            library.define(operator + signature)
    return importlib.import_module("open_clip")
