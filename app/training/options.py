"""What one training run is told, as a dataclass that is saved beside its checkpoint."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from app.errors import TrainingError


@dataclass(frozen=True)
class Options:
    """Every number that shapes a run; two runs with equal options give equal weights on one machine."""

    seed: int = 0
    task: Literal["groceries", "captions"] = "groceries"
    templates: tuple[str, ...] = ("An image of a {}", "a photo of a {}.", "{}")  # captions: names of classes go into
    # one of them by chance, and into the first when the model is measured
    pictures_per_step: int = 256  # captions
    held_out: float = 0.1  # captions: share of the pictures that is kept for scores and calibration
    changes: Literal["photo", "shift"] = "photo"  # captions: pictures are changed as photographs, or as small ones
    stem_stride: int = 2  # 1 keeps small pictures whole
    epochs: int = 80
    groceries_per_step: int = 64
    others_per_step: int = 8
    drawn_per_step: int = 4  # noise, colours, patterns
    drawings: int = 390  # drawn groceries made before the run
    drawings_per_step: int = 3
    things_per_step: int = 56
    gibberish_per_step: int = 32
    sizes: tuple[int, ...] = (96, 128, 128)  # grows through the run in equal shares of the epochs; multiples of 32
    image_size: int = 128  # at evaluation and serving; a multiple of 32
    stored_size: int = 192  # training crops are cut from pictures of this size
    widths: tuple[int, ...] = (48, 96, 192, 320)
    depths: tuple[int, ...] = (1, 1, 2, 1)
    embedding_size: int = 192
    text_width: int = 128
    text_layers: int = 2
    context_length: int = 24
    vocabulary_size: int = 2048
    muon: bool = True  # or AdamW for the filters too
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the steps
    smoothing: float = 0.1
    mix_share: float = 0.4  # share of steps whose pictures are mixed
    coarse_weight: float = 0.5
    kind_weight: float = 0.25
    reverse_weight: float = 0.25  # text to picture
    average_decay: float = 0.998

    def save(self, path: Path) -> None:
        """Write the options as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def changed(self, settings: Sequence[str]) -> "Options":
        """A copy with `name=value` settings applied, values in JSON: `sizes=[128, 160]`; raises TrainingError."""
        values = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in {field.name for field in fields(self)}:
                raise TrainingError(
                    f"{name} is no option; there are: {', '.join(field.name for field in fields(self))}"
                )
            try:
                values[name] = json.loads(value)
            except json.JSONDecodeError as error:
                raise TrainingError(f"{setting} was found; allowed is NAME=VALUE with the value in JSON") from error
        return replace(self, **tupled(values))

    @classmethod
    def load(cls, path: Path) -> "Options":
        """Read what `save` wrote."""
        return cls(**tupled(json.loads(path.read_text(encoding="utf-8"))))


def tupled(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
