"""Train the tail on fine and coarse grocery classes while distillation keeps ImageNet's 1,000 logits."""

import copy
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.training.runs import read_state, write_state
from app.training.tower.changes import normalise
from app.training.tower.network import FROZEN, Run, Tail, Untouched, compiled, pretrained
from app.training.tower.options import TowerOptions
from app.training.tower.pictures import HALVES, Half, Source

TEMPERATURE = 2.0  # of the distilled logits
Gradients = tuple[Tensor, ...]


class Learner(nn.Module):
    """The trainable tail and the weights of the grocery classifier."""

    def __init__(self, network: Any, frozen: int, coarse_of: Tensor) -> None:
        super().__init__()
        self.tail = Tail(network, frozen)
        self.names = nn.Linear(network._fc.in_features, len(coarse_of))
        self.coarse_of = coarse_of
        self.tail.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub

    def coarse(self, fine: Tensor) -> Tensor:
        """Reduce fine logits (N, 81) to coarse logits (N, 43) by log-sum-exp."""
        kinds = functional.one_hot(self.coarse_of).T.bool()  # (43, 81)
        return fine.unsqueeze(1).masked_fill(~kinds, -torch.inf).logsumexp(2)


class Trainer:
    """Holds the training state: weights, their average, the optimiser and the step count.

    `compiler` compiles the untouched network for pictures of one size.
    """

    def __init__(
        self, options: TowerOptions, source: Source, compiler: Callable[[nn.Module, int], Run] = compiled
    ) -> None:
        torch.manual_seed(options.seed)
        torch.set_num_threads(1)  # one thread for each half instead: no synchronisation within a step
        network, frozen = pretrained(options.network), FROZEN[options.network]
        self.options, self.source = options, source
        self.untouched = {
            size: compiler(Untouched(network, frozen), size)
            for size in sorted({stage.size for stage in options.stages})
        }
        self.classifier = copy.deepcopy(network._fc).requires_grad_(False)
        self.model = Learner(network, frozen, torch.from_numpy(source.classes.coarse_of))
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.trained = [weight for name, weight in self.model.named_parameters() if "depthwise" not in name]
        heads = self.trained[-2:]
        heavy = [weight for weight in self.trained[:-2] if weight.ndim > 1]
        light = [weight for weight in self.trained[:-2] if weight.ndim == 1]
        groups = [
            {"params": heavy, "peak": options.rate, "weight_decay": options.decay},
            {"params": light, "peak": options.rate, "weight_decay": 0.0},
            {"params": heads, "peak": options.head_rate, "weight_decay": options.decay},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=options.rate, betas=(0.9, 0.98))
        self.threads = ThreadPoolExecutor(HALVES)
        self.done = 0

    def begin(self) -> None:
        """Initialise the classifier by a linear discriminant analysis of the untouched features."""
        size, labels = min(self.untouched), torch.from_numpy(self.source.groceries.labels)
        batches = self.source.groceries.resized(size).pixels
        parts = [
            self.untouched[size](normalise(torch.from_numpy(part) / 255))[1] for part in np.array_split(batches, 80)
        ]
        weight, bias = discriminant(torch.cat(parts), labels)
        for model in (self.model, self.average):
            model.names.weight.data.copy_(weight)
            model.names.bias.data.copy_(bias)

    def state(self) -> dict[str, object]:
        """Return everything that the next step depends on."""
        return {
            "done": self.done,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, path: Path) -> None:
        """Resume from a checkpoint."""
        state = read_state(path)
        self.done = state["done"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])

    def step(self) -> dict[str, float]:
        """Update the weights once and return the losses."""
        options = self.options
        halves = list(self.threads.map(lambda which: self.gradients(self.done, which), range(HALVES)))
        for place, weight in enumerate(self.trained):
            weight.grad = sum((gradients[place] for gradients, _ in halves), torch.zeros_like(weight)) / HALVES
        nn.utils.clip_grad_norm_(self.trained, 5.0)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * options.pace(self.done)
        self.optimiser.step()
        self.done += 1
        follow = min(options.average, self.done / (self.done + 10))
        for kept, weight in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(weight.detach(), 1 - follow)
        return {name: sum(losses[name] for _, losses in halves) / HALVES for name in halves[0][1]}

    def gradients(self, step: int, which: int) -> tuple[Gradients, dict[str, float]]:
        """Compute the gradients and the losses of half a step."""
        stage = self.options.stage(step)
        half = self.source.half(step, which)
        maps, before = self.untouched[stage.size](half.pixels)
        rng = torch.Generator().manual_seed(step * HALVES + which)
        with torch.autocast("cpu", torch.bfloat16):
            features = self.model.tail(maps.contiguous(memory_format=torch.channels_last), rng)
        losses = self.losses(features, self.classifier(before), half, rng)
        total = losses["fine"] + self.options.coarse * losses["coarse"] + stage.keeping * losses["kept"]
        gradients = torch.autograd.grad(total, self.trained)
        return gradients, {name: float(loss.detach()) for name, loss in losses.items()}

    def losses(self, features: Tensor, before: Tensor, half: Half, rng: torch.Generator) -> dict[str, Tensor]:
        """Compute the losses of features (n + m, F) and the untouched network's logits (n + m, 1000)."""
        groceries = features[: len(half.fine)]
        kept = (torch.rand(groceries.shape, generator=rng) >= 0.2) / 0.8  # dropout
        fine = self.model.names(groceries * kept)
        ours = functional.log_softmax(self.classifier(features) / TEMPERATURE, dim=1)
        wanted = functional.softmax(before / TEMPERATURE, dim=1)
        wanted = wanted * (1 - half.same.sum(1, keepdim=True)) + half.same
        return {
            "fine": functional.cross_entropy(fine, half.fine),
            "coarse": functional.cross_entropy(self.model.coarse(fine), half.coarse),
            "kept": functional.kl_div(ours, wanted, reduction="batchmean") * TEMPERATURE**2,
        }


def discriminant(features: Tensor, labels: Tensor, shrink: float = 0.3, lead: float = 8.0) -> tuple[Tensor, Tensor]:
    """Fit weights (K, F) and biases (K) of a linear discriminant analysis; right logits lead by `lead` on average."""
    means = torch.stack([features[labels == label].mean(0) for label in range(int(labels.max()) + 1)])
    rest = features - means[labels]
    spread = rest.T @ rest / len(rest)
    spread += shrink * spread.diagonal().mean() * torch.eye(len(spread))
    weight = torch.linalg.solve(spread, (means - means.mean(0)).T).T
    bias = -(weight * (means + means.mean(0))).sum(1) / 2
    logits = features @ weight.T + bias
    sharpness = lead / float((logits.gather(1, labels[:, None])[:, 0] - logits.mean(1)).mean())
    return sharpness * weight, sharpness * bias


def run(trainer: Trainer, folder: Path, every: float = 60) -> None:
    """Train to the end, saving a checkpoint every `every` seconds; `metrics.jsonl` has a line for every step."""
    checkpoint, metrics = folder / "checkpoint.pt", folder / "metrics.jsonl"
    if checkpoint.exists():
        trainer.restore(checkpoint)
    else:
        trainer.begin()
    kept = time.monotonic()
    with metrics.open("a", encoding="utf-8") as file:
        while trainer.done < trainer.options.steps:
            began = (time.monotonic(), time.process_time())
            losses = trainer.step()
            spent = (time.monotonic() - began[0], time.process_time() - began[1])
            line = {"step": trainer.done, "seconds": round(spent[0], 2), "processor": round(spent[1], 2), **losses}
            print(json.dumps(line), file=file, flush=True)
            if time.monotonic() - kept >= every or trainer.done == trainer.options.steps:
                write_state(trainer.state(), checkpoint)
                kept = time.monotonic()
