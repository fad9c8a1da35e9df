"""Train the CNN on the training pictures, and keep what it answers to the others."""

import random
import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from app.errors import EvaluationError
from app.evaluation.cnn import MEAN, STD, answer, build, image_form, timm
from app.evaluation.data import Pictures, Splits
from app.evaluation.options import Options
from app.evaluation.predictions import Predictions
from app.images.decode import open_picture
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.model.engines import Floats

FEWEST = 10  # steps in which the learning rate can rise and fall
STORED = 1.25  # training pictures are kept at this multiple of their size, so that crops stay sharp


def train_baseline(options: Options, splits: Splits, command: str) -> tuple[Predictions, dict[str, Tensor]]:
    """One run from first weights to predictions, and the weights."""
    torch.manual_seed(options.seed)
    random.seed(options.seed)  # timm's changes of pictures roll these dice
    start = time.process_time()
    model, pretrained = build(options.architecture, len(splits.classes), options.size, options.pretrained)
    _learn(model, Batches(splits.train, options), options)
    minutes = (time.process_time() - start) / 60
    val, test = (answer(model, pixels_of(part, options.size)) for part in (splits.val, splits.test))
    facts = Predictions(
        architecture=options.architecture,
        pretrained=pretrained,
        size=options.size,
        train_size=options.train_size,
        epochs=options.epochs,
        cpu_minutes=round(minutes, 1),
        command=command,
        digest=splits.digest(),
        val=val,
        test=test,
    )
    return facts, model.state_dict()


def pixels_of(pictures: Pictures, size: int) -> Floats:
    """Pictures as the CNN takes them (N, 3, size, size)."""
    preparer = Preparer(image_form(size), ImageLimits())
    return np.stack([preparer.pixels(file) for file in pictures.files])


class Batches:
    """The training pictures in random order, cropped, mirrored and recoloured anew in every epoch."""

    def __init__(self, pictures: Pictures, options: Options) -> None:
        self.labels = torch.from_numpy(pictures.labels)
        self.batch = options.batch
        side = round(options.train_size * STORED)
        self.pictures = [_stored(file, side) for file in tqdm(pictures.files, desc="reading", disable=None)]
        self.change = timm().data.create_transform(
            options.train_size, is_training=True, scale=(options.crop, 1), color_jitter=0.3, interpolation="bilinear",
            mean=MEAN, std=STD,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.pictures) // self.batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self.pictures))[: len(self) * self.batch].view(len(self), -1):
            yield torch.stack([self.change(self.pictures[row]) for row in rows]), self.labels[rows]


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
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, total_steps=steps, pct_start=0.2)
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
                pace.step()
                bar.set_postfix_str(f"epoch {epoch} loss {float(loss.detach()):.2f}", refresh=False)
                bar.update()
