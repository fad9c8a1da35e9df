"""Training batches: augmented pictures, their captions, and the targets that match them.

Pictures that share a caption are all positives for it, so a batch contains each caption once.
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.errors import TrainingError
from app.training.augment import AUGMENTATIONS, mixup_or_cutmix, smooth_labels
from app.training.options import Options
from app.training.sources import Examples

MOST_HELD_OUT = 2_000  # upper limit on held-out pictures


@dataclass(frozen=True)
class Batch:
    """Pictures and captions of one training step."""

    pixels: Tensor
    """(N, 3, S, S) float32, augmented and normalised."""
    captions: list[str]
    targets: Tensor
    """(N, captions); rows sum to 1."""


class Rngs:
    """One random generator for each kind of draw, so that a checkpoint can save all of them."""

    def __init__(self, seed: int) -> None:
        self.order = np.random.default_rng(seed)
        self.augmentation = torch.Generator().manual_seed(seed + 1)
        self.captions = random.Random(seed)

    def state(self) -> dict[str, Any]:
        """Return the states of the generators."""
        return {
            "order": self.order.bit_generator.state,
            "augmentation": self.augmentation.get_state(),
            "captions": self.captions.getstate(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the states that `state` returned."""
        self.order.bit_generator.state = state["order"]
        self.augmentation.set_state(state["augmentation"])
        self.captions.setstate(state["captions"])


class EpochSampler:
    """Yields row numbers in random order, `size` at a time, epoch after epoch; drops the incomplete last batch."""

    def __init__(self, count: int, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = min(size, count), rng
        self.steps = count // self.size  # per epoch
        self.rows, self.place = np.arange(count), self.steps

    def next(self) -> np.ndarray:
        """Return the rows of the next batch."""
        if self.place == self.steps:
            self.rows, self.place = self.rng.permutation(len(self.rows)), 0
        self.place += 1
        return self.rows[(self.place - 1) * self.size : self.place * self.size]

    def state(self) -> dict[str, Any]:
        """Return the order of the current epoch and the position in it."""
        return {"rows": torch.from_numpy(self.rows), "place": self.place}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; raises TrainingError if the number of pictures has changed."""
        if len(state["rows"]) != len(self.rows):
            raise TrainingError(f"the run was begun with {len(state['rows'])} pictures; {len(self.rows)} were found")
        self.rows, self.place = state["rows"].numpy(), state["place"]


class Batches:
    """Draws training batches, the same ones for the same seed, and holds out some pictures for validation."""

    def __init__(self, examples: Examples, options: Options) -> None:
        self.options, self.labels, self.templates = options, examples.texts, options.templates
        count = len(examples.pictures.labels)
        held = min(MOST_HELD_OUT, max(1, round(count * options.held_out)))
        rows = np.random.default_rng(options.seed).permutation(count)
        self.held_out = examples.pictures[rows[:held]].resized(options.image_size)
        self.shown = examples.pictures[rows[held:]]
        self.rngs = Rngs(options.seed)
        self.sampler = EpochSampler(len(self.shown.labels), options.pictures_per_step, self.rngs.order)
        self.steps_per_epoch = self.sampler.steps
        self.augment = AUGMENTATIONS[options.changes]

    def texts(self) -> list[str]:
        """Return every label in every template: the corpus of the tokenizer."""
        return [template.replace("{}", label) for label in self.labels for template in self.templates]

    def next(self, size: int) -> Batch:
        """Return the next batch, with pictures `size` pixels wide."""
        rows, rngs = self.sampler.next(), self.rngs
        pixels = self.augment(torch.from_numpy(self.shown.pixels[rows]), size, rngs.augmentation)
        labels, places = np.unique(self.shown.labels[rows], return_inverse=True)
        targets = smooth_labels(torch.from_numpy(places), len(labels), self.options.smoothing)
        if rngs.captions.random() < self.options.mix_share:
            pixels, [targets] = mixup_or_cutmix(pixels, [targets], rngs.augmentation)
        captions = [rngs.captions.choice(self.templates).replace("{}", self.labels[label]) for label in labels]
        return Batch(pixels, captions, targets)

    def state(self) -> dict[str, Any]:
        """Return the sampler's state, for a checkpoint."""
        return {"rngs": self.rngs.state(), "sampler": self.sampler.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; raises TrainingError if the pictures have changed."""
        self.rngs.restore(state["rngs"])
        self.sampler.restore(state["sampler"])
