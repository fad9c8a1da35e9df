"""The training loop."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm

from app.training.checkpoint import read_state
from app.training.losses import picture_to_text, text_to_picture, unit
from app.training.model import SmallClip
from app.training.muon import Muon
from app.training.options import Options
from app.training.steps import Step, Task

Losses = dict[str, float]
After = Callable[[Losses], str]  # called after every step; returns a line to show, or nothing


class Trainer:
    """Holds what a run changes: weights, their average, optimiser and the count of steps."""

    def __init__(self, options: Options, tokenizer: Tokenizer, device: str = "cpu", compiled: bool = False) -> None:
        torch.manual_seed(options.seed)
        self.options, self.tokenizer, self.device = options, tokenizer, torch.device(device)
        self.model = SmallClip(options).to(self.device)
        self.model.image.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.image: Callable[[Tensor], Tensor] = torch.compile(self.model.image) if compiled else self.model.image
        self.optimisers = optimisers(self.model, options)
        self.done = 0

    def go_on(self, checkpoint: Path) -> dict[str, Any]:
        """Start from the weights that an earlier run kept; returns what it noted of itself."""
        weights = read_state(checkpoint / "weights.pt")
        self.model.load_state_dict(weights)
        self.average.load_state_dict(weights)
        note: dict[str, Any] = json.loads((checkpoint / "run.json").read_text(encoding="utf-8"))
        return note

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, but for the task."""
        return {
            "done": self.done,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "chance": torch.get_rng_state(),  # drop-out
            "chance_cuda": torch.cuda.get_rng_state_all(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.done = state["done"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        torch.set_rng_state(state["chance"])
        torch.cuda.set_rng_state_all(state["chance_cuda"])

    def run(self, task: Task, after: After | None = None) -> SmallClip:
        """Train to the end of all epochs; returns the averaged weights."""
        total = self.options.epochs * task.steps_per_epoch
        with tqdm(total=total, initial=self.done, unit="step", mininterval=5, smoothing=0.05) as bar:
            while self.done < total:
                epoch = self.done // task.steps_per_epoch
                size = self.options.sizes[epoch * len(self.options.sizes) // self.options.epochs]
                losses = self.step(task.step(size), self.done / total)
                parts = " ".join(f"{name} {value:.2f}" for name, value in losses.items())
                bar.set_postfix_str(f"epoch {epoch + 1} size {size} {parts}", refresh=False)
                bar.update()
                if after and (line := after(losses)):
                    bar.write(line)
        return self.average

    def step(self, step: Step, progress: float) -> Losses:
        """One change of the weights."""
        self.model.train()
        for group in [group for optimiser in self.optimisers for group in optimiser.param_groups]:
            group["lr"] = self.options.learning_rate * pace(progress, self.options.warmup)
        pixels = step.pixels.to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            pictures = self.image(pixels)
            texts = self.model.text(self.tokens(step.captions()))
        loss, losses = contrast(self.model.scale(), unit(pictures), unit(texts), step)
        self.model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.done += 1
        follow(self.average, self.model, min(self.options.average_decay, self.done / (self.done + 10)))
        return losses

    def tokens(self, captions: list[str]) -> Tensor:
        """Captions to token ids [K, L], cut to the longest."""
        tokens = torch.tensor([row.ids for row in self.tokenizer.encode_batch(captions)])
        return tokens[:, : int((tokens != 0).sum(dim=1).max())].to(self.device)


def contrast(scale: Tensor, pictures: Tensor, texts: Tensor, step: Step) -> tuple[Tensor, Losses]:
    """The weighted sum over the levels, both ways, and its parts, of unit vectors [N, D] and [all captions, D]."""
    counts = [len(level.captions) for level in step.levels]
    *own, shared = torch.split(texts, [*counts, len(step.shared)])
    loss, losses = torch.zeros((), device=pictures.device), {}
    for level, part in zip(step.levels, own, strict=True):
        targets = level.targets.to(pictures.device)
        logits = scale * pictures @ torch.cat([part, shared]).T  # [N, captions + shared]
        there = picture_to_text(logits, targets)
        loss = loss + level.weight * there
        if level.back:
            loss = loss + level.back * text_to_picture(logits, targets)
        losses[level.name] = float(there.detach())
    return loss, losses


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
