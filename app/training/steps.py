"""What one step shows the model: changed pictures, captions, and which of these fit which of those."""

from dataclasses import dataclass
from typing import Any, Protocol

from tokenizers import Tokenizer
from torch import Tensor

from app.training.model import SmallClip


@dataclass(frozen=True)
class Level:
    """One question about every picture of a step: which of these captions, or of the step's shared ones?"""

    name: str
    captions: list[str]
    targets: Tensor  # [N, captions + shared] rows sum to 1
    weight: float  # of the loss from picture to caption
    back: float  # of the loss from caption to picture


@dataclass(frozen=True)
class Step:
    """Pictures and captions of one step."""

    pixels: Tensor  # [N, 3, S, S] float32, changed and normalised
    levels: list[Level]
    shared: list[str]  # captions that every level has besides its own

    def captions(self) -> list[str]:
        """All of them: level by level, then the shared ones."""
        return [caption for level in self.levels for caption in level.captions] + self.shared


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
