"""The pictures of each step: groceries with their targets, and everyday pictures for distillation.

The draws of a step depend on the seed and its number alone, so a run can resume from its weights.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from app.training.augment import enlarge, mixup_or_cutmix, smooth_labels
from app.training.data import Classes, Pictures, read_classes, read_pictures
from app.training.tower.changes import change, change_others
from app.training.tower.options import TowerOptions

STORED = 320  # pixels of the pictures that crops are cut from
HALVES = 2  # of a step, one for each core
SHARED = {
    "granny smith": 948, "banana": 954, "lemon": 951, "orange": 950, "pineapple": 953, "pomegranate": 957,
    "cabbage": 936, "cucumber": 943, "zucchini": 939, "brown cap mushroom": 947, "green bell pepper": 945,
    "orange bell pepper": 945, "red bell pepper": 945, "yellow bell pepper": 945,
}  # fmt: skip  # groceries: the class of ImageNet's that is the same thing
MIXED = 0.4  # share of the steps with mixed groceries


@dataclass(frozen=True)
class Half:
    """Half of a step: pictures, groceries first, and the targets of the groceries."""

    pixels: Tensor  # (n + m, 3, S, S) float32, augmented and normalised
    fine: Tensor  # (n, 81) rows sum to 1
    coarse: Tensor  # (n, 43)
    same: Tensor  # (n + m, 1000): ImageNet's class of the same thing, half of the target; 0 if it has none


class Source:
    """Draws the halves of every step."""

    def __init__(self, groceries: Pictures, others: Pictures, classes: Classes, options: TowerOptions) -> None:
        self.groceries, self.others, self.classes, self.options = groceries, others, classes, options
        self.shared = {label: SHARED[name] for label, name in enumerate(classes.names) if name in SHARED}
        self.per_epoch = len(groceries.labels) // options.groceries

    def half(self, step: int, which: int) -> Half:
        """Draw half `which` of a step."""
        options, stage = self.options, self.options.stage(step)
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([options.seed, epoch]).permutation(len(self.groceries.labels))
        rows = order[place * options.groceries : (place + 1) * options.groceries][which::HALVES]
        numbers = np.random.default_rng([options.seed, step, which, 1])
        rng = torch.Generator().manual_seed(int(numbers.integers(2**62)))
        more = numbers.integers(len(self.others.labels), size=stage.others // HALVES)
        small = torch.from_numpy(self.others.pixels[more])
        everyday = torch.cat([enlarge(one[None], stage.size, rng) for one in small])
        shown = change(torch.from_numpy(self.groceries.pixels[rows]), everyday, stage.size, rng)
        shown, fine, coarse, same = self.targets(shown, torch.from_numpy(self.groceries.labels[rows]), rng)
        pixels = torch.cat([shown, change_others(everyday, stage.size, rng)])
        return Half(pixels, fine, coarse, torch.cat([same, torch.zeros(len(everyday), 1000)]))

    def targets(self, pixels: Tensor, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mix the pictures at random and return them with their targets."""
        coarse_of = torch.from_numpy(self.classes.coarse_of)
        fine_count, coarse_count = len(coarse_of), len(self.classes.coarse_names)
        fine = smooth_labels(labels, fine_count, self.options.smoothing)
        coarse = smooth_labels(coarse_of[labels], coarse_count, self.options.smoothing)
        same = torch.zeros(len(labels), 1000)
        for row, label in enumerate(labels.tolist()):
            if label in self.shared:
                same[row, self.shared[label]] = 0.5
        if float(torch.rand(1, generator=rng)) < MIXED:
            pixels, (fine, coarse, same) = mixup_or_cutmix(pixels, [fine, coarse, same], rng)
        return pixels, fine, coarse, same


def open_source(data: Path, options: TowerOptions) -> Source:
    """Open the pictures in `data`: grocery/train.parquet, and cifar10/train.parquet without its labels."""
    return Source(
        read_pictures(data / "grocery/train.parquet", STORED),
        read_pictures(data / "cifar10/train.parquet", 32, slice(0, None, 4)),
        read_classes(data / "grocery/classes.csv"),
        options,
    )
