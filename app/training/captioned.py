"""The task of any pictures with captions: every picture against the captions of its step, both ways.

Pictures that share a caption are all right answers to it: a step has each caption once.
"""

from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from app.training import scoring
from app.training.augment import augment, mix
from app.training.chance import Dice, Order
from app.training.figures import logits_of
from app.training.losses import smooth
from app.training.model import SmallClip
from app.training.options import Options
from app.training.shift import shift
from app.training.sources import Examples
from app.training.steps import Level, Step

CHANGES = {"photo": augment, "shift": shift}
HELD_MOST = 2_000  # pictures held out, however many there are


class Captioned:
    """Steps of pictures in random order; some pictures are held out, to score on."""

    def __init__(self, examples: Examples, options: Options) -> None:
        self.options, self.labels, self.templates = options, examples.texts, options.templates
        count = len(examples.pictures.labels)
        held = min(HELD_MOST, max(1, round(count * options.held_out)))
        rows = np.random.default_rng(options.seed).permutation(count)
        self.held, self.shown = examples.pictures.chosen(rows[:held]), examples.pictures.chosen(rows[held:])
        self.held = self.held.resized(options.image_size)
        self.dice = Dice(options.seed)
        self.order = Order(len(self.shown.labels), options.pictures_per_step, self.dice)
        self.steps_per_epoch = self.order.steps
        self.change = CHANGES[options.changes]

    def texts(self) -> list[str]:
        """Every text in every template."""
        return [template.replace("{}", text) for text in self.labels for template in self.templates]

    def step(self, size: int) -> Step:
        """The next pictures, changed, and their captions."""
        rows = self.order.next()
        pixels = self.change(torch.from_numpy(self.shown.pixels[rows]), size, self.dice.changes)
        texts, places = np.unique(self.shown.labels[rows], return_inverse=True)
        targets = smooth(torch.from_numpy(places), len(texts), len(texts), self.options.smoothing)  # [N, K]
        if self.dice.words.random() < self.options.mix_share:
            pixels, [targets] = mix(pixels, [targets], self.dice.changes)
        captions = [self.dice.words.choice(self.templates).replace("{}", self.labels[text]) for text in texts]
        return Step(pixels, [Level("loss", captions, targets, 0.5, 0.5)], shared=[])

    def score(self, model: SmallClip, tokenizer: Tokenizer) -> dict[str, float]:
        """Accuracy among all texts on the pictures held out, and the temperature that fits them."""
        logits = logits_of(model, tokenizer, self.held.pixels, self.labels, self.templates[0])
        temperature = scoring.fit_temperature(logits, self.held.labels)
        return {
            "pictures": len(self.held.labels),
            "accuracy": scoring.accuracy(logits, self.held.labels),
            "temperature": temperature,
            "calibration_error": scoring.calibration_error(scoring.softmax(logits / temperature), self.held.labels),
        }

    def state(self) -> dict[str, Any]:
        """The generators and the order."""
        return {"dice": self.dice.state(), "order": self.order.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.dice.restore(state["dice"])
        self.order.restore(state["order"])
