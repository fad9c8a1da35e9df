"""The CNN baseline for CLIP: trained on the pictures alone, its predictions stored in a small file."""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from app.errors import EvaluationError
from app.evaluation.data import Pictures, Splits, read_splits
from app.exporter.open_clip_import import declare_torchvision_operators
from app.images.decode import open_picture
from app.images.header import ImageLimits
from app.images.prepare import ImageForm, Preparer
from app.model.engines import Floats

SMALL = 64  # pixels; smaller pictures need a stem that does not reduce them to a quarter
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as for timm's weights
FEWEST = 10  # steps that a learning rate schedule needs at least
STORED = 1.25  # training pictures are stored at this multiple of their size, so that crops stay sharp


@dataclass(frozen=True)
class Options:
    """Hyperparameters of a run; the same options give the same weights on one machine."""

    architecture: str
    pretrained: bool
    size: int  # pixels at evaluation
    train_size: int  # pixels in training: random crops enlarge things, and a smaller size compensates for it
    epochs: int
    crop: float  # smallest share of a picture that a random crop keeps
    batch: int
    learning_rate: float
    weight_decay: float
    smoothing: float  # label smoothing
    seed: int


@dataclass(frozen=True)
class Predictions:
    """How a CNN was made, and its logits (N, C) for the pictures of `val` and `test`; its weights are 45 MB."""

    architecture: str
    pretrained: bool
    size: int
    train_size: int
    epochs: int
    cpu_minutes: float
    command: str
    digest: str
    """Digest of the pictures."""
    val: Floats
    test: Floats

    def facts(self) -> dict[str, Any]:
        """Return everything except the logits."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("val", "test")}

    def save(self, path: Path) -> None:
        """Write an .npz file with logits in float16."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            facts = np.array(json.dumps(self.facts()))
            np.savez_compressed(file, facts=facts, val=self.val.astype(np.float16), test=self.test.astype(np.float16))

    @classmethod
    def load(cls, path: Path, digest: str) -> "Predictions":
        """Load what `save` wrote; raises EvaluationError if it is unreadable or belongs to other pictures."""
        try:
            with np.load(path) as file:
                facts = json.loads(str(file["facts"]))
                found = cls(**facts, val=file["val"].astype(np.float32), test=file["test"].astype(np.float32))
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise EvaluationError(f"the CNN's predictions {path} cannot be read: {error}") from error
        if found.digest != digest:
            raise EvaluationError(f"the CNN's predictions {path} are of other pictures: train it again with `baseline`")
        return found


def run(options: argparse.Namespace, _data: Path) -> int:
    """Train the CNN and save its predictions (the command `baseline`). Returns the exit status."""
    if options.threads:
        torch.set_num_threads(options.threads)
    splits = read_splits(options.train, options.val, options.test, options.classes)
    if options.tuned:
        from app.evaluation.tuned import tune_baseline

        predictions, weights = tune_baseline(splits, options.tuned, options.keep, options.typed, options.seed)
    else:
        chosen = Options(**{field.name: getattr(options, field.name) for field in fields(Options)})
        predictions, weights = train_baseline(chosen, splits, options.typed)
    predictions.save(options.out)
    if options.weights:
        options.weights.parent.mkdir(parents=True, exist_ok=True)
        torch.save(weights, options.weights)
    for name, part, logits in (("val", splits.val, predictions.val), ("test", splits.test, predictions.test)):
        print(f"{name}: top-1 {(logits.argmax(axis=1) == part.labels).mean():.1%} of {len(part.labels)} pictures")
    return 0


def train_baseline(options: Options, splits: Splits, command: str) -> tuple[Predictions, dict[str, Tensor]]:
    """Train once from initialisation; returns the predictions and the weights."""
    torch.manual_seed(options.seed)
    random.seed(options.seed)  # timm's augmentation draws from it
    start = time.process_time()
    model, pretrained = build(options.architecture, len(splits.classes), options.size, options.pretrained)
    _learn(model, Batches(splits.train, options), options)
    minutes = (time.process_time() - start) / 60
    preparer = Preparer(ImageForm(options.size, "shortest", "bicubic", MEAN, STD), ImageLimits())
    predictions = Predictions(
        architecture=options.architecture,
        pretrained=pretrained,
        size=options.size,
        train_size=options.train_size,
        epochs=options.epochs,
        cpu_minutes=round(minutes, 1),
        command=command,
        digest=splits.digest(),
        val=answer(model, preparer, splits.val),
        test=answer(model, preparer, splits.test),
    )
    return predictions, model.state_dict()


def timm() -> Any:
    """Import timm where it is used, because the import takes seconds."""
    declare_torchvision_operators()
    import timm as module

    return module


def build(architecture: str, classes: int, size: int, pretrained: bool = False) -> tuple[nn.Module, bool]:
    """Build the network; returns it and whether it is pretrained. A failed download is reported."""
    if architecture == "efficientnet_lite0":
        from app.training.tower.network import pretrained as network_of

        network = network_of("lite0")
        network._fc = nn.Linear(network._fc.in_features, classes)
        return network, True
    if pretrained:
        try:
            return _small(timm().create_model(architecture, pretrained=True, num_classes=classes), size), True
        except Exception as error:  # a download fails in many ways
            reason = str(error).splitlines()[0]
            print(f"larder: no pretrained weights, it starts from scratch: {reason}", file=sys.stderr)
    return _small(timm().create_model(architecture, num_classes=classes), size), False


def _small(model: nn.Module, size: int) -> nn.Module:
    """Use a stem of one 3x3 convolution at full resolution for tiny pictures, as is usual for CIFAR-10."""
    if size < SMALL and hasattr(model, "conv1"):
        model.conv1 = nn.Conv2d(3, model.conv1.out_channels, 3, padding=1, bias=False)  # type: ignore[union-attr, arg-type]
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class Batches:
    """Yields the training pictures in random order, with other crops, flips and colours in every epoch."""

    def __init__(self, pictures: Pictures, options: Options) -> None:
        self.labels = torch.from_numpy(pictures.labels)
        self.batch = options.batch
        side = round(options.train_size * STORED)
        self.pictures = [_stored(file, side) for file in tqdm(pictures.files, desc="reading", disable=None)]
        self.augment = timm().data.create_transform(
            options.train_size, is_training=True, scale=(options.crop, 1), color_jitter=0.3, interpolation="bilinear",
            mean=MEAN, std=STD,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.pictures) // self.batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self.pictures))[: len(self) * self.batch].view(len(self), -1):
            yield torch.stack([self.augment(self.pictures[row]) for row in rows]), self.labels[rows]


def _stored(file: bytes, side: int) -> Image.Image:
    picture = open_picture(file, ImageLimits())
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    return picture


def _learn(model: nn.Module, batches: Batches, options: Options) -> None:
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    steps = options.epochs * len(batches)
    if steps < FEWEST:
        raise EvaluationError(
            f"{steps} steps are too few to train: {FEWEST} need more pictures, epochs or a smaller batch"
        )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, total_steps=steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=options.smoothing)
    model.train()
    with tqdm(total=steps, unit="step", mininterval=5, smoothing=0.05) as bar:
        for epoch in range(options.epochs):
            for pixels, labels in batches:
                with torch.autocast("cpu", torch.bfloat16):
                    logits = model(pixels.contiguous(memory_format=torch.channels_last))
                loss = loss_of(logits.float(), labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                bar.set_postfix_str(f"epoch {epoch} loss {float(loss.detach()):.2f}", refresh=False)
                bar.update()


@torch.no_grad()
def answer(model: nn.Module, preparer: Preparer, pictures: Pictures, batch: int = 64) -> Floats:
    """Compute logits (N, C) of pictures prepared as the service does."""
    model.eval()
    parts = []
    for start in range(0, len(pictures.files), batch):
        pixels = np.stack([preparer.pixels(file) for file in pictures.files[start : start + batch]])
        parts.append(model(torch.from_numpy(pixels)))
    logits: Floats = torch.cat(parts).float().numpy()
    return logits
