"""Write the files of a bundle from open_clip's model: graphs, tokenizer, card, and config.json last."""

import json
import math
from pathlib import Path
from typing import Any

import torch

from app.errors import ExportError
from app.exporter.card import licence, origin, write_card
from app.exporter.checkpoint import sha256_of
from app.exporter.graph import write_graph
from app.exporter.open_clip_import import import_open_clip
from app.exporter.recipe import Recipe
from app.exporter.tokenizer import make_tokenizer
from app.exporter.towers import PictureTower, text_tower
from app.exporter.weights import Original, Say
from app.model.bundle import PROBE_PROMPT, BundleConfig, Proof, Source, make_proof, probe_pixels


def write_files(recipe: Recipe, original: Original, folder: Path, say: Say) -> None:
    """Write a whole bundle into an empty folder.

    Raises ExportError when the model has no form that a bundle can hold.
    """
    config = describe(recipe, original)
    make_tokenizer(original.tokenizer).save(str(folder / "tokenizer.json"), pretty=False)
    size, length = config["image_size"], config["context_length"]
    say("writing the picture tower")
    _write_tower(PictureTower(original.model), torch.zeros(2, 3, size, size), "pixels", folder / "visual.onnx")
    say("writing the text tower")
    tokens = torch.ones(2, length, dtype=torch.int64)
    _write_tower(text_tower(original.model), tokens, "tokens", folder / "text.onnx")
    (folder / "MODEL_CARD.md").write_text(write_card(recipe, original, config), encoding="utf-8")
    config["proof"] = _proof(original, size)
    config["sha256"] = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    checked = BundleConfig.model_validate(config).model_dump(mode="json")
    (folder / "config.json").write_text(json.dumps(checked, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_tower(tower: torch.nn.Module, example: torch.Tensor, name: str, path: Path) -> None:
    try:
        write_graph(tower.eval(), example, name, path)
    except Exception as error:  # torch's exporter fails in its own ways, with pages of advice
        reason = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(f"torch cannot write {path.name} of this model as a graph: {reason[:300]}") from error


def _proof(original: Original, size: int) -> Proof:
    """The reference embeddings of the probes, computed by open_clip."""
    with torch.no_grad():
        picture = original.model.encode_image(torch.from_numpy(probe_pixels(size)))  # (1, D)
        prompt = original.model.encode_text(original.tokenizer([PROBE_PROMPT]))  # (1, D)
    return make_proof(picture.numpy(), prompt.numpy())


def describe(recipe: Recipe, original: Original) -> dict[str, Any]:
    """config.json without its checksums."""
    scale = original.model.logit_scale.exp().item()
    if not math.isfinite(scale):
        raise ExportError(f"the weights' logit_scale is {scale} after exp(); a bundle needs a finite one")
    source = Source(model=recipe.model, pretrained=recipe.pretrained, seed=recipe.seed, sha256=original.sha256)
    return {
        "format_version": 1,
        "name": recipe.name,
        "origin": origin(recipe, original),
        "licence": licence(recipe),
        **_picture_form(original.model.visual.preprocess_cfg),
        "context_length": original.tokenizer.context_length,
        "embedding_size": import_open_clip().get_model_config(recipe.architecture)["embed_dim"],
        "logit_scale": scale,
        "source": source,
    }


def _picture_form(form: dict[str, Any]) -> dict[str, Any]:
    """open_clip's preprocessing as fields of config.json."""
    size = form["size"] if isinstance(form["size"], (tuple, list)) else (form["size"], form["size"])
    if size[0] != size[1]:
        raise ExportError(f"this model takes pictures of {size[0]} x {size[1]}; a bundle holds square ones only")
    if form["resize_mode"] == "longest" and form["fill_color"]:
        raise ExportError("this model pads pictures with another colour than black, which a bundle cannot say")
    return {
        "image_size": size[0],
        "resize_mode": form["resize_mode"],
        "interpolation": "bilinear" if form["interpolation"] == "bilinear" else "bicubic",  # as open_clip reads it
        "mean": form["mean"],
        "std": form["std"],
    }
