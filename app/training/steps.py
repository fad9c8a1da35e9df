"""What one step shows the model: changed pictures, captions, and which of these fit which of those."""

from dataclasses import dataclass
from typing import Any, Protocol

from tokenizers import Tokenizer
from torch import Tensor

from app.training.model import SmallClip


@dataclass(frozen=True)
class Level:
    """One question about every picture of a step: which of these captions?"""

    name: str
    captions: Tensor  # [K] places among the step's captions
    targets: Tensor  # [N, K] rows sum to 1
    weight: float  # of the loss from picture to caption
    back: float  # of the loss from caption to picture


@dataclass(frozen=True)
class Step:
    """Pictures and captions of one step."""

    pixels: Tensor  # [N, 3, S, S] float32, changed and normalised
    captions: list[str]
    levels: list[Level]


class Task(Protocol):
    """Draws the steps of a run; the same seed draws the same steps."""

    labels: list[str]
    """What the model is to tell apart."""
    steps_per_epoch: int

    def texts(self) -> list[str]:
        """What the tokenizer learns from."""

    def step(self, size: int) -> Step:
        """The next step, its pictures `size` pixels wide."""

    def score(self, model: SmallClip, tokenizer: Tokenizer) -> dict[str, float]:
        """Figures on the pictures that training does not see."""

    def state(self) -> dict[str, Any]:
        """Where the drawing stands, for a checkpoint."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; raises TrainingError where the pictures are others."""
