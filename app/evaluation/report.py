"""The report of a comparison as JSON and Markdown."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from app.evaluation.compare import SEEDS, Comparison, Pair
from app.evaluation.confidence import Confidence
from app.evaluation.data import Numbers
from app.evaluation.heads import SERVED
from app.evaluation.plots import draw_all
from app.evaluation.speed import ROUNDS

DIGITS = 5
CLEAR = 2.0  # standard errors that make a difference clear

HEAD = """# {title}

{contestants} ways to tell {classes} classes, asked about the same {test:,} test pictures. The model is
`{model}`, whose picture tower takes {image_size} x {image_size} pixels. What learns from pictures learnt from the same
{train:,}; what had to be decided (neighbours, strengths, temperatures) was decided on {val:,} others. The test
pictures were only answered. What the words mean is in [README.md](README.md).

```
{command}
```
"""
PLOTS = """## Plots

![top-1 by class]({name}-classes.png)

![confusion table]({name}-confusion.png)

![reliability diagram]({name}-reliability.png)

![top-1 by pictures a class]({name}-shots.png)
"""


def write_report(found: Comparison, table: Numbers, place: Path) -> list[Path]:
    """Write `place`.json, `place`.md and the plots; `table` is the confusion matrix of the served classifier.

    `place`-notes.md, if it exists, becomes the page's section "What they say".
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    data, text, notes = (place.with_name(place.name + ending) for ending in (".json", ".md", "-notes.md"))
    data.write_text(as_json(found), encoding="utf-8")
    written = notes.read_text(encoding="utf-8") if notes.exists() else ""
    text.write_text(as_markdown(found, place.name, written), encoding="utf-8")
    return [text, data, *draw_all(found, table, place)]


def as_json(found: Comparison) -> str:
    """Serialise every figure as JSON, with the numbers of a list on one line."""
    return json.dumps(_rounded(asdict(found)), ensure_ascii=False, indent=1) + "\n"


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def as_markdown(found: Comparison, name: str, notes: str) -> str:
    """Render the Markdown page for readers who have not seen the code."""
    parts = [
        HEAD.format(**asdict(found) | {"contestants": len(found.contestants), "classes": len(found.classes)}),
        f"## What they say\n\n{notes}" if notes else "",
        "## Figures\n\n" + figures(found),
        "## Differences\n\n" + differences(found),
        PLOTS.format(name=name),
        "## Few pictures a class\n\n" + shots(found),
        "## Most often confused\n\n" + confused(found),
        confidence(found.confidence),
        "## Top-1 by class\n\n" + by_class(found),
    ]
    return "\n".join(part for part in parts if part)


def figures(found: Comparison) -> str:
    """Render one row per classifier."""
    rows = [
        (
            each.name[0].upper() + each.name[1:],
            each.made,
            _percent(each.top_1),
            _percent(each.top_5),
            f"{each.calibration_error:.3f}",
            f"{each.calibrated_error:.3f}",
            f"{each.milliseconds:.2f}",
            f"{each.megabytes:.1f}",
        )
        for each in found.contestants
    ]
    head = ("contestant", "made of", "top-1", "top-5", "calibration error", "after temperature", "ms a picture", "MB")
    notes = [
        f"Milliseconds: of one processor core, for a picture that is already decoded, every network on ONNX Runtime "
        f"in float32; the least of {ROUNDS}. MB: the files to load for an answer. The answers of CLIP "
        f"come from {found.engine}."
    ]
    if found.cnn:
        notes += [
            f"The CNN took {found.cnn['cpu_minutes']} minutes of processor time to train; what the training of CLIP "
            "took is in the bundle's MODEL_CARD.md.",
            f"```\n{found.cnn['command']}\n```",
        ]
    return _table(head, rows, "llrrrrrr") + "\n" + "\n\n".join(notes) + "\n"


def differences(found: Comparison) -> str:
    """Render one row per pair of classifiers."""
    rows = [
        (each.first, each.second, f"{100 * each.difference:+.1f}", f"{100 * each.error:.1f}", _verdict(each))
        for each in found.pairs
    ]
    head = ("contestant", "against", "difference in top-1, points", "standard error", "clear")
    return _table(head, rows, "llrrl")


def _verdict(pair: Pair) -> str:
    return "yes" if abs(pair.difference) > CLEAR * pair.error else "no"


def shots(found: Comparison) -> str:
    """Render one row per number of pictures."""
    rows = [(str(row.shots), _percent(row.mean), _percent(row.least), _percent(row.most)) for row in found.shots]
    return _table(("pictures a class", f"top-1, mean of {SEEDS} draws", "worst", "best"), rows, "rrrr")


def confused(found: Comparison) -> str:
    """Render the most confused class pairs of the served classifier."""
    rows = [(each.shown, each.answered, f"{each.count} of {each.of}") for each in found.contestant(SERVED).confused]
    return f"By {SERVED}:\n\n" + _table(("shown", "answered", "pictures"), rows, "llr")


def confidence(of: Confidence) -> str:
    """Render the calibration and `known` of the bundle as served."""
    rows = [
        (each.others, f"{each.pictures:,}", f"{each.auroc:.4f}", _share(each.false_positive_rate)) for each in of.known
    ]
    how = f"with the bundle's temperature ({of.temperature:.3f})" if of.temperature else "without a temperature"
    text = (
        f"## Confidence as served\n\nAmong all {of.labels} names of the class list: top-1 {_percent(of.top_1)}, "
        f"calibration error {of.calibration_error:.3f} {how}.\n"
    )
    if not of.known:
        return text + "The bundle has no margin for `known`.\n"
    head = ("`known` against", "pictures", "AUROC", "of these known")
    return text + f"Known test pictures: {_share(of.true_positive_rate)}.\n\n" + _table(head, rows, "lrrr")


def by_class(found: Comparison) -> str:
    """Render one row per class."""
    rows = [
        (name, *(_share(each.per_class[place]) for each in found.contestants))
        for place, name in enumerate(found.classes)
    ]
    return _table(("class", *(each.name for each in found.contestants)), rows, "l" + "r" * len(found.contestants))


def _percent(share: float) -> str:
    """Format 0.1234 as 12.3 %."""
    return f"{share:.1%}".replace("%", " %")


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}".replace("%", " %")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> str:
    lines = [head, ["---" if side == "l" else "---:" for side in sides], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
