"""The training loop."""

import copy
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from app.training.augment import augment, mix
from app.training.batches import Batches, Step
from app.training.captions import Captions
from app.training.losses import columns, picture_to_text, smooth, text_to_picture, unit
from app.training.model import SmallClip
from app.training.muon import Muon
from app.training.options import Options

Report = Callable[[int, SmallClip], str]  # after an epoch: its number, the averaged weights -> a line to show
CATCH_ALL = 0.25  # share of an other picture's target that goes to the words for all other pictures


class Trainer:
    """Holds what a run changes: weights, their average, optimiser and random numbers."""

    def __init__(self, options: Options, captions: Captions, tokenizer: Tokenizer, compiled: bool = False) -> None:
        torch.manual_seed(options.seed)
        self.options, self.captions, self.tokenizer = options, captions, tokenizer
        self.model = SmallClip(options)
        self.model.image.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.image: Callable[[Tensor], Tensor] = torch.compile(self.model.image) if compiled else self.model.image
        self.optimisers = optimisers(self.model, options)
        self.dice = random.Random(options.seed)
        self.draws = torch.Generator().manual_seed(options.seed + 1)
        self.coarse_of = torch.tensor(captions.coarse_of)
        self.group_of = torch.tensor(captions.group_of)
        self.done = 0

    def go_on(self, checkpoint: Path) -> dict[str, Any]:
        """Start from the weights that an earlier run kept; returns what it noted of itself."""
        weights = torch.load(checkpoint / "weights.pt", weights_only=True)
        self.model.load_state_dict(weights)
        self.average.load_state_dict(weights)
        note: dict[str, Any] = json.loads((checkpoint / "run.json").read_text(encoding="utf-8"))
        return note

    def run(self, batches: Batches, report: Report | None = None) -> SmallClip:
        """Train for all epochs; `report` may return a line to show after an epoch. Returns the averaged weights."""
        total = self.options.epochs * batches.steps_per_epoch()
        with tqdm(total=total, unit="step", mininterval=5, smoothing=0.05) as bar:
            for epoch in range(self.options.epochs):
                size = self.options.sizes[epoch * len(self.options.sizes) // self.options.epochs]
                for batch in batches.epoch():
                    losses = self.step(batch, size, self.done / total)
                    bar.set_postfix_str(f"epoch {epoch} size {size} {losses}", refresh=False)
                    bar.update()
                if report and (line := report(epoch, self.average)):
                    bar.write(line)
        return self.average

    def step(self, batch: Step, size: int, progress: float) -> str:
        """One change of the weights."""
        self.model.train()
        for group in [group for optimiser in self.optimisers for group in optimiser.param_groups]:
            group["lr"] = self.options.learning_rate * pace(progress, self.options.warmup)
        pixels = augment(batch.pixels, size, self.draws)
        pixels, targets = self.targets(pixels, batch)
        with torch.autocast("cpu", torch.bfloat16):
            pictures = self.image(pixels.contiguous(memory_format=torch.channels_last))
            texts = self.model.text(self.tokens())
        loss, line = self.losses(unit(pictures), unit(texts), targets)
        self.model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.done += 1
        follow(self.average, self.model, min(self.options.average_decay, self.done / (self.done + 10)))
        return line

    def targets(self, pixels: Tensor, batch: Step) -> tuple[Tensor, list[Tensor]]:
        """Soft targets of groceries over fine, coarse and kind captions, mixed with the pictures, and of the rest."""
        n, smoothing = len(batch.labels), self.options.smoothing
        numbers = (batch.labels, self.coarse_of[batch.labels], self.group_of[batch.labels])
        counts = (len(self.captions.fine), len(self.captions.coarse), len(self.captions.groups))
        own = [smooth(number, count, count, smoothing) for number, count in zip(numbers, counts, strict=True)]
        if self.dice.random() < self.options.mix_share:
            mixed, own = mix(pixels[:n], own, self.draws)
            pixels = torch.cat([mixed, pixels[n:]])
        kinds = len(self.captions.others)
        rest = smooth(batch.kinds, kinds, kinds, 0) * (1 - CATCH_ALL)
        rest[:, -1] += CATCH_ALL
        foreign = self.options.things_per_step + self.options.gibberish_per_step
        return pixels, [columns(target, rest, target.shape[1] + kinds + foreign) for target in own]

    def tokens(self) -> Tensor:
        """This step's captions [fine + coarse + groups + others + foreign, L], cut to the longest."""
        captions, dice, options = self.captions, self.dice, self.options
        texts = (
            captions.fine_step(dice) + captions.coarse_step(dice) + captions.kind_step(dice) + captions.other_step(dice)
        )
        texts += captions.foreign_step(options.things_per_step, options.gibberish_per_step, dice)
        tokens = torch.tensor([row.ids for row in self.tokenizer.encode_batch(texts)])
        return tokens[:, : int((tokens != 0).sum(dim=1).max())]

    def losses(self, pictures: Tensor, texts: Tensor, targets: list[Tensor]) -> tuple[Tensor, str]:
        """The weighted sum over fine, coarse and kind captions, and a line that shows the parts."""
        options, captions = self.options, self.captions
        counts = [len(captions.fine), len(captions.coarse), len(captions.groups)]
        *own, shared = torch.split(texts, [*counts, len(texts) - sum(counts)])
        logits = [self.model.scale() * pictures @ torch.cat([part, shared]).T for part in own]
        parts = [picture_to_text(part, target) for part, target in zip(logits, targets, strict=True)]
        back = text_to_picture(logits[0], targets[0]) + text_to_picture(logits[1], targets[1])
        loss = (
            parts[0] + options.coarse_weight * parts[1] + options.kind_weight * parts[2] + options.reverse_weight * back
        )
        return loss, " ".join(
            f"{name} {float(part.detach()):.2f}" for name, part in zip(("fine", "coarse", "kind"), parts, strict=True)
        )


def pace(progress: float, warmup: float) -> float:
    """One cycle: a straight rise to 1, then half a cosine down to almost 0."""
    if progress < warmup:
        return (progress + 1e-3) / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) + 1e-3


def optimisers(model: SmallClip, options: Options) -> list[torch.optim.Optimizer]:
    """Muon for the filters behind the first, AdamW for everything else, of which only matrices decay."""
    filters = [weight for weight in model.image.blocks.parameters() if weight.ndim == 4 and options.muon]
    chosen = {id(weight) for weight in filters}
    rest = [weight for weight in model.parameters() if id(weight) not in chosen]
    heavy, light = ([weight for weight in rest if (weight.ndim > 1) is wanted] for wanted in (True, False))
    groups = [{"params": heavy, "weight_decay": options.weight_decay}, {"params": light, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)
    return [adam, Muon(filters, options.learning_rate, options.weight_decay)] if options.muon else [adam]


@torch.no_grad()
def follow(average: SmallClip, model: SmallClip, decay: float) -> None:
    """Move the averaged weights and statistics a little towards the current ones."""
    floats = [
        (a, b)
        for a, b in zip(average.state_dict().values(), model.state_dict().values(), strict=True)
        if a.is_floating_point()
    ]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)
