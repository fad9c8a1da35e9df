"""Training options, saved beside the checkpoint, and recipes: named sets of options."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from app.errors import TrainingError


@dataclass(frozen=True)
class Options:
    """All hyperparameters of a run; equal options give equal weights on one machine."""

    seed: int = 0
    templates: tuple[str, ...] = ("An image of a {}", "a photo of a {}.", "{}")  # one is drawn for each name; the first
    # is the one used for evaluation
    pictures_per_step: int = 64
    held_out: float = 0.1  # share of the pictures held out for validation and calibration
    changes: Literal["photo", "shift"] = "photo"  # augmentation for photographs or for tiny pictures
    stem_stride: int = 2  # 1 keeps tiny pictures at full resolution
    epochs: int = 80
    sizes: tuple[int, ...] = (96, 128, 128)  # progressive resizing in equal shares of the epochs; multiples of 32
    image_size: int = 128  # at evaluation and serving; a multiple of 32
    stored_size: int = 192  # training crops are cut from pictures of this size, pixels
    widths: tuple[int, ...] = (48, 96, 192, 320)
    depths: tuple[int, ...] = (1, 1, 2, 1)
    embedding_size: int = 192
    text_width: int = 128
    text_layers: int = 2
    context_length: int = 24
    vocabulary_size: int = 2048
    muon: bool = True  # use Muon for the convolutions; False: AdamW for them too
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the steps
    smoothing: float = 0.1  # label smoothing
    mix_share: float = 0.4  # share of the steps with mixup or CutMix
    average_decay: float = 0.998  # of the weights' exponential moving average (EMA)

    def save(self, path: Path) -> None:
        """Write the options as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def changed(self, settings: Sequence[str]) -> "Options":
        """Copy with `name=value` settings applied, values in JSON: `sizes=[128, 160]`; raises TrainingError."""
        values = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in NAMES:
                raise TrainingError(f"{name!r} is not an option; there are: {', '.join(NAMES)}")
            try:
                values[name] = json.loads(value)
            except json.JSONDecodeError as error:
                raise TrainingError(f"{setting!r} was found; allowed is NAME=VALUE with the value in JSON") from error
        return replace(self, **_tuples(values))

    @classmethod
    def load(cls, path: Path) -> "Options":
        """Load what `save` wrote; raises TrainingError for options of another version of the training."""
        values = json.loads(path.read_text(encoding="utf-8"))
        if unknown := values.keys() - NAMES:
            raise TrainingError(f"{path} is of another version, with {', '.join(sorted(unknown))}: train again")
        return cls(**_tuples(values))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


NAMES = [field.name for field in fields(Options)]
RECIPES = {
    "photos": Options(),
    "cifar": Options(
        changes="shift", epochs=8, pictures_per_step=128, mix_share=0.0,
        sizes=(32,), image_size=32, stored_size=32, stem_stride=1, widths=(48, 128, 256), depths=(2, 2, 1),
        embedding_size=128, text_width=64, context_length=16, vocabulary_size=320,
    ),
}  # fmt: skip
