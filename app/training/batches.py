"""The pictures of one step of the groceries' task: groceries, other pictures and drawn ones."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from app.training import drawn
from app.training.augment import BLUR_SHARE, coarsen, enlarge
from app.training.chance import Dice, Order
from app.training.data import Pictures
from app.training.options import Options

OTHER_CLASSES = (0, 1, 2, 3, 4, 5, 7, 8)  # CIFAR-10 without frogs and trucks: what is never shown


@dataclass(frozen=True)
class Batch:
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
        self.dice = Dice(options.seed)
        self.order = Order(len(groceries.labels), options.groceries_per_step, self.dice)

    def next(self) -> Batch:
        """Groceries (some made coarse) and a few drawn ones, then pictures without groceries."""
        rows = self.order.next()
        chosen, labels = self.groceries.pixels[rows], self.groceries.labels[rows]
        if self.drawings is not None:
            more = self.dice.numbers.integers(len(self.drawings.labels), size=self.options.drawings_per_step)
            chosen = np.concatenate([chosen, self.drawings.pixels[more]])
            labels = np.concatenate([labels, self.drawings.labels[more]])
        pixels = torch.from_numpy(chosen)
        for place in np.flatnonzero(self.dice.numbers.random(len(labels)) < BLUR_SHARE):
            pixels[place] = coarsen(pixels[place], self.dice.pictures)
        other_pixels, other_kinds = self.other_pictures()
        drawn_pixels, drawn_kinds = self.drawn_pictures()
        return Batch(
            torch.cat([pixels, *other_pixels, drawn_pixels]),
            torch.from_numpy(labels),
            torch.from_numpy(np.concatenate([other_kinds, drawn_kinds])),
        )

    def other_pictures(self) -> tuple[list[Tensor], np.ndarray]:
        """Small photographs of other things, each enlarged in its own way."""
        rows = self.dice.numbers.integers(len(self.others.labels), size=self.options.others_per_step)
        small = torch.from_numpy(self.others.pixels[rows])
        size = self.groceries.pixels.shape[2]
        return [enlarge(one[None], size, self.dice.pictures) for one in small], self.others.labels[rows]

    def drawn_pictures(self) -> tuple[Tensor, np.ndarray]:
        """Noise, colours and patterns."""
        kinds = self.dice.numbers.integers(len(drawn.KINDS), size=self.options.drawn_per_step)
        size = self.groceries.pixels.shape[2]
        pixels = np.stack([drawn.draw(int(kind), size, self.dice.numbers) for kind in kinds])
        return torch.from_numpy(pixels), kinds + len(OTHER_CLASSES)
