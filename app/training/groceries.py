"""The task that larder-small learns: groceries by fine, coarse and kind names, other pictures by theirs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from app.training import scoring
from app.training.augment import augment, mix
from app.training.batches import Batch, Batches
from app.training.captions import Captions, build_captions, grocery_texts, read_names
from app.training.data import Classes, read_classes, read_pictures
from app.training.drawings import draw_groceries
from app.training.figures import embed_pictures
from app.training.finish import prompts_of
from app.training.losses import columns, smooth
from app.training.model import SmallClip
from app.training.options import Options
from app.training.steps import Level, Step

CATCH_ALL = 0.25  # share of an other picture's target that goes to the words for all other pictures
Score = Callable[[SmallClip, Tokenizer], dict[str, float]]


class Groceries:
    """Every picture of a step against one new caption of every class, at three levels, and against foreign captions."""

    def __init__(self, batches: Batches, captions: Captions, options: Options, score: Score) -> None:
        self.batches, self.captions, self.options, self.dice = batches, captions, options, batches.dice
        self.labels = [names[0] for names in captions.fine]
        self.steps_per_epoch = batches.order.steps
        self.coarse_of, self.group_of = torch.tensor(captions.coarse_of), torch.tensor(captions.group_of)
        self.score = score

    def texts(self) -> list[str]:
        """A few rounds of captions."""
        return grocery_texts(self.captions, self.options.seed)

    def step(self, size: int) -> Step:
        """The next pictures, changed, and this step's captions."""
        batch = self.batches.next()
        pixels, targets = self.targets(augment(batch.pixels, size, self.dice.changes), batch)
        captions, dice, options = self.captions, self.dice.words, self.options
        fine, coarse, kind = captions.fine_step(dice), captions.coarse_step(dice), captions.kind_step(dice)
        shared = captions.other_step(dice)
        shared += captions.foreign_step(options.things_per_step, options.gibberish_per_step, dice)
        levels = [
            Level("fine", fine, targets[0], 1.0, options.reverse_weight),
            Level("coarse", coarse, targets[1], options.coarse_weight, options.reverse_weight),
            Level("kind", kind, targets[2], options.kind_weight, 0.0),
        ]
        return Step(pixels, levels, shared)

    def targets(self, pixels: Tensor, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Soft targets of groceries over fine, coarse and kind captions, mixed with the pictures, and of the rest."""
        n, smoothing = len(batch.labels), self.options.smoothing
        numbers = (batch.labels, self.coarse_of[batch.labels], self.group_of[batch.labels])
        counts = (len(self.captions.fine), len(self.captions.coarse), len(self.captions.groups))
        own = [smooth(number, count, count, smoothing) for number, count in zip(numbers, counts, strict=True)]
        if self.dice.words.random() < self.options.mix_share:
            mixed, own = mix(pixels[:n], own, self.dice.changes)
            pixels = torch.cat([mixed, pixels[n:]])
        kinds = len(self.captions.others)
        rest = smooth(batch.kinds, kinds, kinds, 0) * (1 - CATCH_ALL)
        rest[:, -1] += CATCH_ALL
        foreign = self.options.things_per_step + self.options.gibberish_per_step
        return pixels, [columns(target, rest, target.shape[1] + kinds + foreign) for target in own]

    def state(self) -> dict[str, Any]:
        """The generators and the order."""
        return {"dice": self.dice.state(), "order": self.batches.order.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.dice.restore(state["dice"])
        self.batches.order.restore(state["order"])


def open_groceries(data: Path, labels: Path, options: Options) -> Groceries:
    """The task over the pictures in `data` (grocery/ and cifar10/), named by the label files in `labels`."""
    classes = read_classes(data / "grocery/classes.csv")
    captions = captions_of(classes, labels)
    groceries = read_pictures(data / "grocery/train.parquet", options.stored_size)
    others = read_pictures(data / "cifar10/train.parquet", 32)
    names = [names[0] for names in captions.fine]
    drawings = draw_groceries(names, options.drawings, options.stored_size) if options.drawings else None
    batches = Batches(groceries, others, options, drawings)
    return Groceries(batches, captions, options, scorer(data, labels, classes, options.image_size))


def captions_of(classes: Classes, labels: Path) -> Captions:
    """Captions of the trained classes: the first lines of the label file."""
    pantry = read_names(labels / "pantry.txt")[: len(classes.coarse_of)]
    numbers = (classes.coarse_of.tolist(), classes.coarse_names, classes.group_of.tolist(), classes.groups)
    return build_captions(pantry, *numbers)


def scorer(data: Path, labels: Path, classes: Classes, size: int) -> Score:
    """A function that scores a model on `val`."""
    val = read_pictures(data / "grocery/val.parquet", size)

    def score(model: SmallClip, tokenizer: Tokenizer) -> dict[str, float]:
        prompts = prompts_of(model, tokenizer, classes, labels)
        pictures = embed_pictures(model, val.pixels)
        fine, everything = (scoring.accuracy(pictures @ some.T, val.labels) for some in (prompts.fine, prompts.pantry))
        coarse = scoring.accuracy(pictures @ prompts.coarse.T, classes.coarse_of[val.labels])
        return {"accuracy": fine, "with unseen goods": everything, "coarse": coarse}

    return score
