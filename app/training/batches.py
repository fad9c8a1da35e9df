"""The batches of a run: augmented pictures, the captions that they show, and which of these fit which of those.

Pictures that share a caption are all right answers to it: a batch has each caption once.
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

MOST_HELD_OUT = 2_000  # pictures, however many there are


@dataclass(frozen=True)
class Batch:
    """Pictures and captions of one step."""

    pixels: Tensor
    """(N, 3, S, S) float32, augmented and normalised."""
    captions: list[str]
    targets: Tensor
    """(N, captions); rows sum to 1."""


class Rngs:
    """A random generator for each kind of choice, so that a checkpoint can keep all of them."""

    def __init__(self, seed: int) -> None:
        self.order = np.random.default_rng(seed)
        self.augmentation = torch.Generator().manual_seed(seed + 1)
        self.captions = random.Random(seed)

    def state(self) -> dict[str, Any]:
        """The generators' states."""
        return {
            "order": self.order.bit_generator.state,
            "augmentation": self.augmentation.get_state(),
            "captions": self.captions.getstate(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.order.bit_generator.state = state["order"]
        self.augmentation.set_state(state["augmentation"])
        self.captions.setstate(state["captions"])


class EpochSampler:
    """Rows in random order, epoch after epoch, `size` at a time; what is left of an epoch is dropped."""

    def __init__(self, count: int, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = min(size, count), rng
        self.steps = count // self.size  # in an epoch
        self.rows, self.place = np.arange(count), self.steps

    def next(self) -> np.ndarray:
        """The rows of the next batch."""
        if self.place == self.steps:
            self.rows, self.place = self.rng.permutation(len(self.rows)), 0
        self.place += 1
        return self.rows[(self.place - 1) * self.size : self.place * self.size]

    def state(self) -> dict[str, Any]:
        """The order of the present epoch, and the place in it."""
        return {"rows": torch.from_numpy(self.rows), "place": self.place}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; raises TrainingError where the pictures are not as many as then."""
        if len(state["rows"]) != len(self.rows):
            raise TrainingError(f"the run was begun with {len(state['rows'])} pictures; {len(self.rows)} were found")
        self.rows, self.place = state["rows"].numpy(), state["place"]


class Batches:
    """Draws the batches of a run, the same ones for the same seed; some pictures are held out, to score on."""

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
        """Every label in every template: what the tokenizer learns from."""
        return [template.replace("{}", label) for label in self.labels for template in self.templates]

    def next(self, size: int) -> Batch:
        """The next batch, its pictures `size` pixels wide."""
        rows, rngs = self.sampler.next(), self.rngs
        pixels = self.augment(torch.from_numpy(self.shown.pixels[rows]), size, rngs.augmentation)
        labels, places = np.unique(self.shown.labels[rows], return_inverse=True)
        targets = smooth_labels(torch.from_numpy(places), len(labels), self.options.smoothing)
        if rngs.captions.random() < self.options.mix_share:
            pixels, [targets] = mixup_or_cutmix(pixels, [targets], rngs.augmentation)
        captions = [rngs.captions.choice(self.templates).replace("{}", self.labels[label]) for label in labels]
        return Batch(pixels, captions, targets)

    def state(self) -> dict[str, Any]:
        """Where the drawing stands, for a checkpoint."""
        return {"rngs": self.rngs.state(), "sampler": self.sampler.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; raises TrainingError where the pictures are others."""
        self.rngs.restore(state["rngs"])
        self.sampler.restore(state["sampler"])
