"""The training loop: a symmetric contrastive loss, AdamW and Muon, and an exponential moving average of the weights."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from app.exporter.open_clip_import import declare_torchvision_operators
from app.training.batches import Batch, Batches
from app.training.model import SmallClip
from app.training.options import Options
from app.training.runs import read_state

AfterStep = Callable[[float], str]  # called with the loss; returns a line to show, or an empty string


class Trainer:
    """Holds the training state: weights, their exponential moving average (EMA), optimisers and the step count."""

    def __init__(self, options: Options, tokenizer: Tokenizer, device: str = "cpu", compiled: bool = False) -> None:
        torch.manual_seed(options.seed)
        self.options, self.tokenizer, self.device = options, tokenizer, torch.device(device)
        self.model = SmallClip(options).to(self.device)
        self.model.image.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.image: Callable[[Tensor], Tensor] = torch.compile(self.model.image) if compiled else self.model.image
        self.optimisers = optimisers(self.model, options)
        self.done = 0

    def warm_start(self, folder: Path) -> dict[str, Any]:
        """Initialise from the weights of a finished run; returns its `run.json`."""
        weights = read_state(folder / "weights.pt")
        self.model.load_state_dict(weights)
        self.average.load_state_dict(weights)
        earlier: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return earlier

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on, except the batches."""
        return {
            "done": self.done,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "rng": torch.get_rng_state(),  # of dropout
            "rng_cuda": torch.cuda.get_rng_state_all(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.done = state["done"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        torch.set_rng_state(state["rng"])
        torch.cuda.set_rng_state_all(state["rng_cuda"])

    def run(self, batches: Batches, after: AfterStep | None = None) -> SmallClip:
        """Train for all epochs; returns the averaged weights."""
        total = self.options.epochs * batches.steps_per_epoch
        with tqdm(total=total, initial=self.done, unit="step", mininterval=5, smoothing=0.05) as bar:
            while self.done < total:
                epoch = self.done // batches.steps_per_epoch
                size = self.options.sizes[epoch * len(self.options.sizes) // self.options.epochs]
                loss = self.step(batches.next(size), self.done / total)
                bar.set_postfix_str(f"epoch {epoch + 1} size {size} loss {loss:.2f}", refresh=False)
                bar.update()
                if after and (line := after(loss)):
                    bar.write(line)
        return self.average

    def step(self, batch: Batch, progress: float) -> float:
        """Update the weights once; returns the loss from picture to caption."""
        self.model.train()
        for group in [group for optimiser in self.optimisers for group in optimiser.param_groups]:
            group["lr"] = group["peak"] * lr_schedule(progress, self.options.warmup)
        pixels = batch.pixels.to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16):
            pictures = self.image(pixels)
            texts = self.model.text(self.tokens(batch.captions))
        pictures, texts = functional.normalize(pictures.float()), functional.normalize(texts.float())
        logits = self.model.scale() * pictures @ texts.T  # (N, captions)
        to_text, to_picture = contrastive_losses(logits, batch.targets.to(self.device))
        self.model.zero_grad()
        (0.5 * to_text + 0.5 * to_picture).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.done += 1
        update_ema(self.average, self.model, min(self.options.average_decay, self.done / (self.done + 10)))
        return float(to_text.detach())

    def tokens(self, captions: list[str]) -> Tensor:
        """Tokenize captions to ids (K, L), truncated to the longest."""
        tokens = torch.tensor([row.ids for row in self.tokenizer.encode_batch(captions)])
        return tokens[:, : int((tokens != 0).sum(dim=1).max())].to(self.device)


def contrastive_losses(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropies of logits (N, K) from picture to caption and from caption to picture.

    Rows of the targets (N, K) sum to 1. From caption to picture, all pictures of a caption are positives, weighted by
    their targets; captions that have a target from label smoothing alone are left out.
    """
    columns = targets.sum(dim=0)
    shown = columns > 0.5
    right = targets[:, shown] / columns[shown]
    to_picture = -(right * functional.log_softmax(logits[:, shown], dim=0)).sum(dim=0).mean()
    return functional.cross_entropy(logits, targets), to_picture


def lr_schedule(progress: float, warmup: float) -> float:
    """Return the learning rate's share of its peak: a linear warm-up, then a half cosine down to almost 0."""
    if progress < warmup:
        return (progress + 1e-3) / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) + 1e-3


def optimisers(model: SmallClip, options: Options) -> list[torch.optim.Optimizer]:
    """Create Muon for the convolutions after the first and AdamW for everything else; only matrices get weight decay.

    Muon's updates are twice as long as AdamW's at the same rate: a root mean square of 0.4.
    """
    filters = [weight for weight in model.image.blocks.parameters() if weight.ndim == 4 and options.muon]
    chosen = {id(weight) for weight in filters}
    rest = [weight for weight in model.parameters() if id(weight) not in chosen]
    peak, decay = options.learning_rate, options.weight_decay
    heavy, light = ([weight for weight in rest if (weight.ndim > 1) is wanted] for wanted in (True, False))
    groups = [
        {"params": heavy, "peak": peak, "weight_decay": decay},
        {"params": light, "peak": peak, "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, lr=peak, fused=True)
    if not options.muon:
        return [adam]
    declare_torchvision_operators()
    from timm.optim.muon import Muon  # imports torchvision, which takes seconds

    group = {"params": filters, "peak": 2 * peak, "use_muon": True}
    return [adam, Muon([group], weight_decay=decay / 2, nesterov=True, ns_coefficients="original")]


@torch.no_grad()
def update_ema(average: SmallClip, model: SmallClip, decay: float) -> None:
    """Update the EMA of the weights and the batch statistics."""
    floats = [
        (a, b)
        for a, b in zip(average.state_dict().values(), model.state_dict().values(), strict=True)
        if a.is_floating_point()
    ]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)
