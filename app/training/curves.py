"""The curves of a run as a picture: losses above, scores below."""

import json
from pathlib import Path
from typing import Any

import matplotlib

COLOURS = ("#1b6ca8", "#c8553d", "#4f8a3c", "#8a5a9e", "#b8860b")
NO_SHARES = ("pictures", "temperature")  # among the scores
SMOOTHING = 0.98  # of the losses from step to step, which are drawn pale as they were


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draw the lines of `metrics.jsonl` over the epochs as PNG."""
    matplotlib.use("agg")
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(8, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for colour, (name, (epochs, values)) in zip(COLOURS, series(lines, "losses").items(), strict=False):
        above.plot(epochs, values, color=colour, alpha=0.2, linewidth=0.8)
        above.plot(epochs, smooth(values), color=colour, linewidth=2, label=name)
    for colour, (name, (epochs, values)) in zip(COLOURS, series(lines, "scores").items(), strict=False):
        if name not in NO_SHARES:
            below.plot(epochs, values, color=colour, linewidth=2, marker="o", markersize=4, label=name)
    above.set_ylabel("loss")
    below.set(xlabel="epoch", ylabel="on the pictures held out", ylim=(0, 1))
    for axes in (above, below):
        axes.grid(color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    figure.savefig(picture, dpi=110)


def series(lines: list[dict[str, Any]], kind: str) -> dict[str, tuple[list[float], list[float]]]:
    """The epochs and the values of every number that lines of one kind have."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for line in lines:
        for name, value in line.get(kind, {}).items():
            epochs, values = found.setdefault(name, ([], []))
            epochs.append(line["epoch"])
            values.append(value)
    return found


def smooth(values: list[float]) -> list[float]:
    """A running mean that forgets, unbiased at its beginning."""
    mean, weight, out = 0.0, 0.0, []
    for value in values:
        mean, weight = SMOOTHING * mean + (1 - SMOOTHING) * value, SMOOTHING * weight + 1 - SMOOTHING
        out.append(mean / weight)
    return out
