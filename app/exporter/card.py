"""The model card of an exported bundle, with its origin and licence in one line each."""

import math
from typing import Any

import torch

from app.exporter.open_clip_import import import_open_clip
from app.exporter.recipe import Recipe
from app.exporter.weights import Original

CARD = """# {name}

{origin}.

Licence: {licence}.

| | |
|---|---|
| architecture | {architecture} of open_clip {version} |
| activation | {activation} |
| pictures | {size} x {size} pixels, {resize_mode}, {interpolation} |
| texts | {length} tokens |
| embedding | {embedding} numbers, not yet of unit length |
| logit scale | {scale:.4f} |

The graphs are float32 and were compared with open_clip before the bundle was written, from JPEG bytes and from plain
text: `python -m app models check {name}` does it again. The bundle is not calibrated: its probabilities are those of
the logit scale alone, and `known` is not judged.
{bias}"""
BIAS = """
The model is one of those for a sigmoid loss and has a logit bias of {bias:.4f}, which a bundle does not hold. Rankings
do not depend on it; probabilities here are a softmax over the labels, not its sigmoids.
"""


def origin(recipe: Recipe, original: Original) -> str:
    """Where the weights come from, in one line."""
    built = f"{recipe.model}, built by open_clip {import_open_clip().__version__}"
    if recipe.download:
        place = recipe.download.get("hf_hub") or recipe.download.get("url") or "an unknown place"
        return f"{built}, with its weights {recipe.pretrained} from {place.rstrip('/')} (sha256 {original.sha256})"
    if recipe.path:
        return f"{built}, with the weights of the file {recipe.path.name} (sha256 {original.sha256})"
    return f"{built}, with random weights, seed {recipe.seed}, torch {torch.__version__}: it has learnt nothing"


def licence(recipe: Recipe) -> str:
    """What is known of the weights' licence, in one line."""
    if recipe.download:
        return "see the weights' publisher; it was not looked up"
    if recipe.path:
        return "that of the weights' file; it is not known here"
    return "none is needed for random numbers"


def write_card(recipe: Recipe, original: Original, config: dict[str, Any]) -> str:
    """The text of MODEL_CARD.md; `config` is the bundle's."""
    bias = getattr(original.model, "logit_bias", None)
    return CARD.format(
        name=config["name"],
        origin=config["origin"],
        licence=config["licence"],
        architecture=recipe.architecture,
        version=import_open_clip().__version__,
        activation=activation(original.model),
        size=config["image_size"],
        resize_mode=config["resize_mode"],
        interpolation=config["interpolation"],
        length=config["context_length"],
        embedding=config["embedding_size"],
        scale=config["logit_scale"],
        bias="" if bias is None or math.isclose(bias.item(), 0) else BIAS.format(bias=bias.item()),
    )


def activation(model: Any) -> str:
    """The activations in a model: "QuickGELU", "GELU" or what else there is."""
    names = {type(module).__name__ for module in model.modules()}
    found = sorted(name for name in names if name in ("QuickGELU", "GELU", "ReLU", "SiLU"))
    return " and ".join(found) or "unknown"
