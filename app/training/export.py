"""Export a finished run as a bundle that serving reads without torch: graphs, tokenizer, model card, config.json."""

import copy
from itertools import pairwise
from pathlib import Path
from textwrap import fill

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from app.exporter.graph import write_graph
from app.model.bundle import LABELS, Calibration, write_config
from app.training.augment import MEAN, STD
from app.training.model import FlipTTA, ImageTower, SmallClip
from app.training.options import Options
from app.training.runs import CALIBRATED_FROM, Trained

LISTED = 20  # labels in the model card at most
CARD = """# {name}

A small CLIP, trained from scratch: a residual CNN for pictures of {size} x {size} pixels and a transformer of {layers}
layers for texts share a space of {embedding} dimensions. It tells {count} labels apart{first}.

## Data and licence

{note}

Licence of the weights: {licence}.

## Training

```
{command}
```

{minutes:.0f} minutes by the clock, beside whatever else the machine did; seed {seed}. Options that the command leaves
out are the defaults in `app/training/options.py`; a run saves its own options beside its checkpoint.

## Figures

Prompts are the classifier: "{template}" for every label, and the nearest prompt is the answer.

| pictures held out of training | |
|---|---|
| pictures | {val[pictures]:,.0f} |
| top-1 | {val[accuracy]:.2%} |
{calibration}{test}
## Limits

- It knows its labels and little else: other words are read, but mean nothing to it.
- `known` was fitted on no pictures of other things: it is judged by everyday words, which mean little to this model.
"""
TEST = """
| test pictures | |
|---|---|
| pictures | {pictures:,} |
| top-1 | {top_1:.2%} |
| top-5 | {top_5:.2%} |
| calibration error | {calibration_error:.3f} |
| search by text: right ones among the first 10 hits | {search_precision_at_10:.0%} |

| label | top-1 | right ones among the first 10 hits |
|---|---|---|
{rows}
"""


def write_bundle(trained: Trained, note: str, licence: str, folder: Path) -> None:
    """Write every file of the bundle; `note` describes the pictures, `licence` is that of the weights."""
    options = trained.options
    export_graphs(trained.model, options, folder)
    trained.tokenizer.save(str(folder / "tokenizer.json"))
    (folder / LABELS).write_text("\n".join(trained.labels) + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(card(trained, note, licence, folder.name), encoding="utf-8")
    config = {
        "format_version": 1,
        "name": folder.name,
        "origin": "trained from scratch by `python -m app.training`: see MODEL_CARD.md",
        "licence": f"Weights: {licence}. Training data: {note}",
        "scope": f"it knows the {len(trained.labels)} labels that it was trained on, and little else.",
        "image_size": options.image_size,
        "resize_mode": "shortest",
        "interpolation": "bicubic",
        "mean": MEAN,
        "std": STD,
        "context_length": options.context_length,
        "embedding_size": options.embedding_size,
        "logit_scale": trained.model.scale().item(),
        "calibration": Calibration(
            temperature=(trained.scores or {}).get("temperature"), known_margin=None, label_cosine=None
        ),
        "proof": trained.proof(),
    }
    write_config(folder, config)


def export_graphs(model: SmallClip, options: Options, folder: Path) -> None:
    """Write visual.onnx (`pixels` -> `embedding`) and text.onnx (`tokens` -> `embedding`), any batch size."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = torch.zeros(2, 3, options.image_size, options.image_size)
    tokens = torch.ones(2, options.context_length, dtype=torch.int64)
    write_graph(FlipTTA(folded(model.image)).eval(), pixels, "pixels", folder / "visual.onnx")
    write_graph(copy.deepcopy(model.text).eval(), tokens, "tokens", folder / "text.onnx")


def folded(tower: ImageTower) -> ImageTower:
    """Copy the tower with batch norms folded into the preceding convolutions, which makes it 15 % faster."""
    tower = copy.deepcopy(tower).eval()
    tower.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing in its stub
    for module in list(tower.modules()):
        for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    return tower


def card(trained: Trained, note: str, licence: str, name: str) -> str:
    """Render the model card with this run's numbers."""
    options, labels = trained.options, trained.labels
    return CARD.format(
        name=name, size=options.image_size, layers=options.text_layers, embedding=options.embedding_size,
        count=len(labels), first=":\n" + ", ".join(labels) if len(labels) <= LISTED else "",
        note=fill(note, 119), licence=licence,
        command=trained.command, minutes=trained.minutes, seed=options.seed, template=options.templates[0],
        val=trained.scores, calibration=calibration_row(trained), test=test_tables(trained),
    )  # fmt: skip


def calibration_row(trained: Trained) -> str:
    """Render the row for the calibration, or the reason why there is none."""
    scores = trained.scores or {}
    if "temperature" in scores:
        return f"| calibration error, 15 bins, fitted here | {scores['calibration_error']:.3f} |\n"
    return f"| calibration | none: it takes {CALIBRATED_FROM} pictures held out |\n"


def test_tables(trained: Trained) -> str:
    """Render the figures of `test`; empty if it was not run."""
    if trained.test is None:
        return ""
    rows = [
        f"| {label} | {one['top_1']:.1%} | {one['search_precision_at_10']:.0%} |"
        for label, one in list(trained.test["by_label"].items())[:LISTED]
    ]
    return TEST.format(rows="\n".join(rows), **trained.test["all"])
