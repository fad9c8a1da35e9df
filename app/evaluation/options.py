"""What one training of the CNN is told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """What shapes a run; the same options give the same weights on one machine."""

    architecture: str = "resnet18"
    pretrained: bool = False
    size: int = 128  # pixels when it answers
    train_size: int = 96  # pixels when it learns: random crops look larger than whole pictures, and this undoes it
    epochs: int = 30
    crop: float = 0.35  # the least share of a picture that is cut out of it to learn from
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    seed: int = 0
