"""The CNN that CLIP is measured against: a ResNet that learns the classes from pictures alone."""

import importlib
import sys
from typing import Any

import numpy as np
import torch
from torch import nn

from app.exporter.open_clip_import import import_open_clip
from app.images.prepare import ImageForm
from app.model.engines import Floats

SMALL = 64  # pixels: below that a stem that quarters the picture would leave nothing
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as for timm's weights


def image_form(size: int) -> ImageForm:
    """How the CNN takes a picture: nothing is cut off that CLIP sees."""
    return ImageForm(size, "shortest", "bicubic", MEAN, STD)


def timm() -> Any:
    """The module timm, imported where it is used: it takes seconds."""
    import_open_clip()  # mends torchvision, which timm imports too
    return importlib.import_module("timm")


def build(architecture: str, classes: int, size: int, pretrained: bool = False) -> tuple[nn.Module, bool]:
    """The network, and whether its weights are ImageNet's; without a download it starts from scratch and says so."""
    if architecture == "efficientnet_lite0":
        from app.training.tower.network import pretrained as network_of

        network = network_of("lite0")
        network._fc = nn.Linear(network._fc.in_features, classes)
        return network, True
    if pretrained:
        try:
            return _small(timm().create_model(architecture, pretrained=True, num_classes=classes), size), True
        except Exception as error:  # a download fails in many ways
            reason = str(error).splitlines()[0]
            print(f"larder: no pretrained weights, it starts from scratch: {reason}", file=sys.stderr)
    return _small(timm().create_model(architecture, num_classes=classes), size), False


def _small(model: nn.Module, size: int) -> nn.Module:
    """For tiny pictures a stem of one 3x3 convolution at full size, as is usual for CIFAR-10."""
    if size < SMALL and hasattr(model, "conv1"):
        model.conv1 = nn.Conv2d(3, model.conv1.out_channels, 3, padding=1, bias=False)  # type: ignore[union-attr, arg-type]
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@torch.no_grad()
def answer(model: nn.Module, pixels: Floats, batch: int = 128) -> Floats:
    """Logits (N, C) of preprocessed pictures (N, 3, S, S)."""
    model.eval()
    parts = [model(torch.from_numpy(pixels[start : start + batch])) for start in range(0, len(pixels), batch)]
    return np.asarray(torch.cat(parts).float().numpy())
