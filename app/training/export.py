"""Write a trained model as a bundle folder that serving reads without torch."""

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from app.model.bundle import Proof
from app.training.augment import MEAN, STD
from app.training.model import BothWays, ImageTower, SmallClip
from app.training.options import Options

LICENCE = (
    "Weights: Apache-2.0. Training data: Grocery Store Dataset (M. Klasson, C. Zhang, H. Kjellström, WACV 2019), MIT; "
    "CIFAR-10 (A. Krizhevsky, 2009)."
)
FILES = ("visual.onnx", "text.onnx", "tokenizer.json", "MODEL_CARD.md")


@dataclass(frozen=True)
class Calibration:
    """The multiplier of cosines and what was fitted on data."""

    scale: float
    temperature: float
    known_margin: float | None
    label_cosine: float | None


def export_graphs(model: SmallClip, options: Options, folder: Path) -> None:
    """Write visual.onnx (`pixels` -> `embedding`) and text.onnx (`tokens` -> `embedding`), any batch size."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = torch.zeros(2, 3, options.image_size, options.image_size)
    tokens = torch.ones(2, options.context_length, dtype=torch.int64)
    write_graph(BothWays(folded(model.image)).eval(), pixels, "pixels", folder / "visual.onnx")
    write_graph(copy.deepcopy(model.text).eval(), tokens, "tokens", folder / "text.onnx")


def write_graph(tower: nn.Module, example: Tensor, name: str, path: Path) -> None:
    """One tower as a single ONNX file whose first axis is free."""
    program = torch.onnx.export(
        tower, (example,), dynamo=True, input_names=[name], opset_version=18, verbose=False,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
    )  # fmt: skip
    if program is None:
        raise RuntimeError("the exporter gave no graph")
    for node in program.model.graph:
        for value in node.outputs:  # torch names a table look-up like our output
            value.name = f"{name}_{value.name}"
    program.model.graph.outputs[0].name = "embedding"
    onnx.save(without_notes(program.model_proto), path)


def without_notes(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the exporter's notes, which hold source lines and paths of the exporting machine."""
    inner = graph.graph
    for part in (graph, inner, *inner.node, *inner.input, *inner.output, *inner.value_info, *inner.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return graph


def folded(tower: ImageTower) -> ImageTower:
    """A copy whose batch norms are folded into their convolutions."""
    tower = copy.deepcopy(tower).eval()
    tower.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing in its stub
    fold(tower, "stem", "stem_norm")
    for block in tower.blocks:
        fold(block, "first", "first_norm")
        fold(block, "second", "second_norm")
        if isinstance(block.short, nn.Sequential):
            fold(block.short, "1", "2")
    return tower


def fold(parent: nn.Module, conv: str, norm: str) -> None:
    """Fold the child named `norm` into the convolution named `conv` before it."""
    both: Any = [getattr(parent, name) for name in (conv, norm)]
    setattr(parent, conv, fuse_conv_bn_eval(*both))
    setattr(parent, norm, nn.Identity())


def write_config(
    options: Options, calibration: Calibration, origin: str, proof: Proof, folder: Path, licence: str = LICENCE
) -> None:
    """Write config.json, last of all because it holds the checksums of the other files."""
    config: dict[str, Any] = {
        "format_version": 1,
        "name": folder.name,
        "origin": origin,
        "licence": licence,
        "image_size": options.image_size,
        "resize_mode": "shortest",
        "interpolation": "bicubic",
        "mean": list(MEAN),
        "std": list(STD),
        "context_length": options.context_length,
        "embedding_size": options.embedding_size,
        "logit_scale": calibration.scale,
        "calibration": {
            "temperature": calibration.temperature,
            "known_margin": calibration.known_margin,
            "label_cosine": calibration.label_cosine,
        },
        "proof": proof.model_dump(),
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
