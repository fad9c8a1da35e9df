"""Architectures of open_clip's kinds that are small enough to be exported in a second or two."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from app.exporter.export import export
from app.exporter.gate import onnxruntime
from app.exporter.graph import write_graph
from app.exporter.open_clip_import import import_open_clip
from app.exporter.recipe import read_recipe

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
PATCHES = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 32}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Tiny": {"embed_dim": 32, "vision_cfg": PATCHES, "text_cfg": TEXT},
    "Tiny-quickgelu": {"embed_dim": 32, "quick_gelu": True, "vision_cfg": PATCHES, "text_cfg": TEXT},
    "TinyResNet": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16},
        "text_cfg": TEXT,
    },
    # as SigLIP has it: a timm picture tower, and a text tower that sees the whole text and reads its last token
    "TinyTimm": {
        "embed_dim": 64,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit3",
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": TEXT | {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
    },
}
FORM = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "interpolation": "bilinear", "resize_mode": "squash"}
TAGS = {
    "quick": {"hf_hub": "someone/quick/", "quick_gelu": True, **FORM},
    "plain": {"hf_hub": "someone/plain/", **FORM},
}


@pytest.fixture(scope="session", autouse=True)
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Register the small architectures in open_clip, and two tags of weights for one of them."""
    open_clip = import_open_clip()
    folder = tmp_path_factory.mktemp("architectures")
    for name, config in ARCHITECTURES.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    open_clip.pretrained._PRETRAINED |= {"Tiny": TAGS, "Tiny-quickgelu": {"quick": TAGS["quick"]}}
    yield
    open_clip.factory._MODEL_CONFIG_PATHS.remove(folder)
    for name in ARCHITECTURES:
        del open_clip.factory._MODEL_CONFIGS[name]
    for name in ("Tiny", "Tiny-quickgelu"):
        del open_clip.pretrained._PRETRAINED[name]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Write a graph as the exporter does, but copy it if the same tower was written before, since torch is slow.

    pytest-xdist's workers share the written graphs.
    """
    own = tmp_path_factory.getbasetemp()
    kept = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "graphs"
    kept.mkdir(exist_ok=True)

    def write(tower: torch.nn.Module, example: torch.Tensor, name: str, path: Path) -> None:
        tensors = [value.numpy().tobytes() for value in tower.state_dict().values()]
        once = kept / hashlib.sha256(b"".join([repr(tower).encode(), *tensors])).hexdigest()
        if not once.exists():
            write_graph(tower, example, name, path)
            part = kept / f"{os.getpid()}.part"
            shutil.copy(path, part)
            part.replace(once)
        else:
            shutil.copy(once, path)

    return write


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, written: Callable[..., None]) -> Path:
    """The bundle Tiny-none, shared by tests that do not modify it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.exporter.export.write_graph", written)
        return export(read_recipe("Tiny", "none"), tmp_path_factory.mktemp("models"), onnxruntime, silence)[0]


@pytest.fixture
def make(tmp_path: Path, written: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Exports a model into the test's own models folder."""
    monkeypatch.setattr("app.exporter.export.write_graph", written)

    def make(model: str = "Tiny", pretrained: str = "none", seed: int = 0, models: Path = tmp_path / "models") -> Path:
        return export(read_recipe(model, pretrained, seed), models, onnxruntime, silence)[0]

    return make


def silence(line: str) -> None:
    """Discard progress messages."""
