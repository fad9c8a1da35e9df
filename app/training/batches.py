"""Steps of pictures for the training loop: groceries, other pictures and drawn ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from app.training import drawn
from app.training.augment import BLUR_SHARE, coarsen, enlarge
from app.training.data import Pictures
from app.training.options import Options

OTHER_CLASSES = (0, 1, 2, 3, 4, 5, 7, 8)  # CIFAR-10 without frogs and trucks: what is never shown


@dataclass(frozen=True)
class Step:
    """Pictures as stored; the first len(labels) are groceries, the rest shows none."""

    pixels: Tensor  # [n + m, 3, T, T] uint8
    labels: Tensor  # [n] fine classes
    kinds: Tensor  # [m] kinds in the order of phrases_other.txt


class Batches:
    """Draws the steps of a run; the same seed draws the same steps."""

    def __init__(
        self, groceries: Pictures, others: Pictures, options: Options, drawings: Pictures | None = None
    ) -> None:
        self.groceries, self.drawings, self.options = groceries, drawings, options
        shown = np.isin(others.labels, OTHER_CLASSES)
        self.others = Pictures(others.pixels[shown], np.searchsorted(OTHER_CLASSES, others.labels[shown]))
        self.dice = torch.Generator().manual_seed(options.seed)
        self.numbers = np.random.default_rng(options.seed)

    def steps_per_epoch(self) -> int:
        """Whole steps in one pass over the groceries."""
        return len(self.groceries.labels) // self.options.groceries_per_step

    def epoch(self) -> Iterator[Step]:
        """One pass over the groceries in random order."""
        order = self.numbers.permutation(len(self.groceries.labels))
        for rows in np.array_split(
            order[: self.steps_per_epoch() * self.options.groceries_per_step], self.steps_per_epoch()
        ):
            yield self.step(rows)

    def step(self, rows: np.ndarray) -> Step:
        """The chosen groceries (some made coarse) and a few drawn ones, then pictures without groceries."""
        chosen, labels = self.groceries.pixels[rows], self.groceries.labels[rows]
        if self.drawings is not None:
            more = self.numbers.integers(len(self.drawings.labels), size=self.options.drawings_per_step)
            chosen = np.concatenate([chosen, self.drawings.pixels[more]])
            labels = np.concatenate([labels, self.drawings.labels[more]])
        pixels = torch.from_numpy(chosen)
        for place in np.flatnonzero(self.numbers.random(len(labels)) < BLUR_SHARE):
            pixels[place] = coarsen(pixels[place], self.dice)
        other_pixels, other_kinds = self.other_pictures()
        drawn_pixels, drawn_kinds = self.drawn_pictures()
        return Step(
            torch.cat([pixels, *other_pixels, drawn_pixels]),
            torch.from_numpy(labels),
            torch.from_numpy(np.concatenate([other_kinds, drawn_kinds])),
        )

    def other_pictures(self) -> tuple[list[Tensor], np.ndarray]:
        """Small photographs of other things, each enlarged in its own way."""
        rows = self.numbers.integers(len(self.others.labels), size=self.options.others_per_step)
        small = torch.from_numpy(self.others.pixels[rows])
        size = self.groceries.pixels.shape[2]
        return [enlarge(one[None], size, self.dice) for one in small], self.others.labels[rows]

    def drawn_pictures(self) -> tuple[Tensor, np.ndarray]:
        """Noise, colours and patterns."""
        kinds = self.numbers.integers(len(drawn.KINDS), size=self.options.drawn_per_step)
        size = self.groceries.pixels.shape[2]
        pixels = np.stack([drawn.draw(int(kind), size, self.numbers) for kind in kinds])
        return torch.from_numpy(pixels), kinds + len(OTHER_CLASSES)
