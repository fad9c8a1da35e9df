"""A model trained on captions to a bundle with its card."""

from pathlib import Path
from textwrap import fill

from app.training.export import Calibration, export_graphs, write_config
from app.training.runs import Trained

LISTED = 20  # labels at most
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

{minutes:.0f} minutes by the clock, beside whatever else the machine did; seed {seed}. What the command does not say is
in `app/training/recipes.py` and `app/training/options.py`; a run saves its own options beside its checkpoint.

## Figures

Prompts are the classifier: "{template}" for every label, and the nearest prompt is the answer.

| pictures held out of training | |
|---|---|
| pictures | {val[pictures]:,.0f} |
| top-1 | {val[accuracy]:.2%} |
| calibration error, 15 bins, fitted here | {val[calibration_error]:.3f} |
{test}
## Limits

- It knows its labels and little else: other words are read, but mean nothing to it.
- `known` is not judged: there were no pictures of other things to fit it on.
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


def publish(trained: Trained, note: str, licence: str, folder: Path) -> None:
    """Write every file of the bundle; `note` says what the pictures were, `licence` is that of the weights."""
    options = trained.options
    export_graphs(trained.model, options, folder)
    trained.tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "MODEL_CARD.md").write_text(card(trained, note, licence, folder.name), encoding="utf-8")
    scale = float(trained.model.scale().detach())
    calibration = Calibration(scale, trained.temperature, None, None)
    origin = "trained from scratch by `python -m app.training`: see MODEL_CARD.md"
    write_config(options, calibration, origin, trained.proof(), folder, f"Weights: {licence}. Training data: {note}")


def card(trained: Trained, note: str, licence: str, name: str) -> str:
    """The card's text with this run's numbers."""
    options, labels = trained.options, trained.labels
    return CARD.format(
        name=name, size=options.image_size, layers=options.text_layers, embedding=options.embedding_size,
        count=len(labels), first=":\n" + ", ".join(labels) if len(labels) <= LISTED else "",
        note=fill(note, 119), licence=licence,
        command=trained.command, minutes=trained.minutes, seed=options.seed, template=options.templates[0],
        val=trained.scores, test=test_tables(trained),
    )  # fmt: skip


def test_tables(trained: Trained) -> str:
    """The figures of `test`, or nothing where it was not run."""
    if trained.test is None:
        return ""
    rows = [
        f"| {label} | {one['top_1']:.1%} | {one['search_precision_at_10']:.0%} |"
        for label, one in list(trained.test["by_label"].items())[:LISTED]
    ]
    return TEST.format(rows="\n".join(rows), **trained.test["all"])
