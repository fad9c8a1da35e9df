"""The plots of a comparison as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.evaluation.compare import Comparison
from app.evaluation.data import Numbers
from app.evaluation.heads import CNN, PROBE, SERVED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# a palette for colour-blind readers too: Okabe, Ito
COLOURS = ("#0072b2", "#56b4e9", "#e69f00", "#009e73", "#d55e00", "#cc79a7")
MARKS = "os^DvP"
DASHES = ("-", "--", "-.", ":", "-", "--")  # dash patterns, so that overlapping lines stay visible
RARE = 0.01  # share of the answers below which a bin is too noisy to plot
FEW = 20  # classes up to which a confusion matrix has room for numbers


def draw_all(found: Comparison, table: Numbers, place: Path) -> list[Path]:
    """Save four plots beside `place`, named after it; `table` is the served classifier's confusion matrix (C, C)."""
    figures = {
        "classes": by_class(found),
        "confusion": confusion(found, table),
        "reliability": reliability(found),
        "shots": by_shots(found),
    }
    return [_save(figure, place.with_name(f"{place.name}-{name}.png")) for name, figure in figures.items()]


def by_class(found: Comparison) -> "Figure":
    """Plot one line per tested class, best first, with a marker for each main classifier."""
    chosen = [name for name in (SERVED, PROBE, CNN) if name in [each.name for each in found.contestants]]
    shares = np.array([[np.nan if s is None else s for s in found.contestant(name).per_class] for name in chosen])
    order = np.lexsort((shares.mean(axis=0), shares[0]))[: np.isfinite(shares[0]).sum()]  # NaN is sorted to the end
    lines = np.arange(len(order))
    figure, axes = _figure(8, 1.6 + 0.21 * len(order))
    axes.hlines(lines, shares.min(axis=0)[order], shares.max(axis=0)[order], color="#cccccc", zorder=1)
    for place, name in enumerate(chosen):  # decreasing marker size, so that equal values stay visible
        axes.plot(
            shares[place][order], lines, MARKS[place], color=COLOURS[2 * place], label=name, markersize=9 - 2.5 * place
        )
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.7, len(order) - 0.3), xlabel="share of the class's test pictures recognised")
    axes.set_yticks(lines, [found.classes[place] for place in order])
    axes.grid(axis="x", color="#e5e5e5")
    _percent(axes.xaxis)
    figure.legend(loc="outside upper center", ncols=len(chosen), frameon=False)
    return figure


def confusion(found: Comparison, table: Numbers) -> "Figure":
    """Plot the confusion matrix, predicted (across) against true class (down), as shares of a row."""
    count = len(found.classes)
    side = 2.6 + max(3.5, 0.165 * count)
    figure, axes = _figure(1.08 * side, side)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 9 if count <= FEW else 7.5
    axes.set_xticks(range(count), found.classes, rotation=90, fontsize=size)
    axes.set_yticks(range(count), found.classes, fontsize=size)
    axes.set(xlabel="answered", ylabel="shown")
    if count <= FEW:
        for row, column in np.ndindex(table.shape):
            colour = "white" if shares[row, column] > 0.5 else "#333333"
            axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(picture, ax=axes, shrink=0.5, label="share of the pictures shown")
    return figure


def reliability(found: Comparison) -> "Figure":
    """Plot a reliability diagram of each classifier with its temperature."""
    figure, axes = _figure(6.4, 6.0)
    axes.plot([0, 1], [0, 1], "--", color="#888888", linewidth=1, label="perfectly calibrated")
    for place, each in enumerate(found.contestants):
        often = [b for b in each.reliability if b.share >= RARE]
        sure, right = [b.sure for b in often], [b.right for b in often]
        label = f"{each.name} (error {each.calibrated_error:.3f})"
        axes.plot(sure, right, MARKS[place] + "-", color=COLOURS[place], label=label, markersize=5)
    axes.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="probability of the answer", ylabel="share of such answers that are right"
    )
    axes.grid(color="#e5e5e5")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def by_shots(found: Comparison) -> "Figure":
    """Plot the accuracy of prototypes by the number of pictures, with the other classifiers as lines."""
    figure, axes = _figure(7, 4.8)
    shots = [row.shots for row in found.shots]
    axes.fill_between(
        shots, [row.least for row in found.shots], [row.most for row in found.shots], color="#cccccc", alpha=0.6
    )
    axes.plot(shots, [row.mean for row in found.shots], "o-", color="black", label="prototypes of a few pictures")
    for place, each in enumerate(found.contestants):
        axes.axhline(each.top_1, color=COLOURS[place], linewidth=1.6, linestyle=DASHES[place], label=each.name)
    axes.set(xlabel="training pictures a class", ylabel="top-1", xticks=shots)
    axes.grid(color="#e5e5e5")
    _percent(axes.yaxis)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def by_examples(shots: Sequence[int], lines: Mapping[str, Sequence[float]], path: Path) -> Path:
    """Plot the recall over the number of support examples; zero examples at the left."""
    figure, axes = _figure(7, 5.6)
    for (name, shares), colour, mark in zip(lines.items(), COLOURS, MARKS, strict=False):
        axes.plot(range(len(shots)), shares, color=colour, marker=mark, label=name)
    axes.set_xticks(range(len(shots)), [str(each) for each in shots])
    axes.set(xlabel="examples of a class", ylabel="recognised", ylim=(0, 1))
    axes.grid(color="#e5e5e5")
    _percent(axes.yaxis)
    figure.legend(loc="outside lower center", frameon=False)
    return _save(figure, path)


def _figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _percent(axis: "Axis") -> None:
    """Format an axis as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def _save(figure: "Figure", path: Path) -> Path:
    figure.savefig(path, dpi=80)
    return path
