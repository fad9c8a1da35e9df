"""The metadata of a bundle: its preprocessing, its licence, and MODEL_CARD.md."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.errors import ExportError

CARD = """# {name}

{origin}.

Licence of the weights: {licence}.
{warning}
| | |
|---|---|
| architecture | {architecture} |
| activation | {activation} |
| pictures | {image_size} x {image_size} pixels, {resize_mode}, {interpolation} |
| texts | {context_length} tokens |
| embedding | {embedding_size} numbers, not yet of unit length |
| logit scale | {logit_scale:.4f} |
{bias}
The graphs are float32 and were compared with {original} before the bundle was kept, from JPEG bytes and from plain
text: `python -m app models check {name}` does it again. Nothing is fitted on pictures: `known` weighs the labels
against everyday nouns, and `python -m app.evaluation calibrate` fits a temperature.
"""
WARNING = "\n**Not for commercial use**, as its publisher states it.\n"
BIAS = """| logit bias | {bias:.4f}: a label is as likely shown as not at a cosine of {cosine:.4f} |
"""
_RESTRICTED = re.compile(r"(^|[^a-z])nc([^a-z]|$)|non-?commercial|research|apple-(ascl|amlr)", re.IGNORECASE)


def is_restricted(licence: str) -> bool:
    """Return whether a licence, as its publisher names it, forbids commercial use.

    >>> is_restricted("cc-by-nc-4.0"), is_restricted("apple-amlr"), is_restricted("mit")
    (True, True, False)
    """
    return bool(_RESTRICTED.search(licence))


def picture_form(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return open_clip's preprocessing as fields of config.json; raises ExportError if a bundle cannot express it."""
    size = form["size"] if isinstance(form["size"], (tuple, list)) else (form["size"], form["size"])
    if size[0] != size[1]:
        raise ExportError(f"this model takes pictures of {size[0]} x {size[1]}; a bundle holds square ones only")
    if form["resize_mode"] == "longest" and form["fill_color"]:
        raise ExportError("this model pads pictures with another colour than black, which a bundle cannot say")
    return {
        "image_size": size[0],
        "resize_mode": form["resize_mode"],
        "interpolation": "bilinear" if form["interpolation"] == "bilinear" else "bicubic",  # as open_clip interprets it
        "mean": form["mean"],
        "std": form["std"],
    }


def write_card(
    folder: Path, config: Mapping[str, Any], *, architecture: str, activation: str, original: str, bias: float | None
) -> None:
    """Write the MODEL_CARD.md of a bundle with this config; `original` is the model it was compared with."""
    cosine = -bias / config["logit_scale"] if bias else 0.0
    text = CARD.format(
        **{key: config[key] for key in config if key in CARD},
        warning=WARNING if is_restricted(config["licence"]) else "",
        architecture=architecture,
        activation=activation,
        original=original,
        bias=BIAS.format(bias=bias, cosine=cosine) if bias else "",
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
