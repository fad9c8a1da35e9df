"""Options of a run, as a dataclass that is saved beside its checkpoint."""

import json
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """A number of consecutive steps; the learning rate changes linearly from one share of its peak to another."""

    steps: int
    size: int  # pixels
    others: int  # everyday pictures per step
    keeping: float  # weight of the distillation loss on ImageNet's logits
    first: float = 1.0
    last: float = 1.0


STAGES = (
    Stage(210, 224, 12, 1.0),
    Stage(231, 224, 6, 0.25),
    Stage(69, 224, 6, 0.25, 1.0, 120 / 189),
    Stage(120, 260, 6, 0.25, 120 / 189, 0.0),
)


@dataclass(frozen=True)
class TowerOptions:
    """All hyperparameters of a run; equal options give equal weights on one machine."""

    network: str = "lite2"
    seed: int = 0
    stages: tuple[Stage, ...] = STAGES
    groceries: int = 32  # per step
    rate: float = 6e-4
    head_rate: float = 1.8e-3
    warmup: int = 60
    decay: float = 0.02
    smoothing: float = 0.1
    coarse: float = 0.5  # weight of the loss on coarse classes
    average: float = 0.997

    @property
    def steps(self) -> int:
        """Return the number of steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage(self, step: int) -> Stage:
        """Return the stage of a step, counted from 0."""
        return self._find(step)[0]

    def pace(self, step: int) -> float:
        """Return the learning rate's share of its peak, with a warm-up.

        >>> options = TowerOptions(stages=(Stage(500, 224, 6, 1.0), Stage(500, 224, 6, 1.0, 1.0, 0.0)))
        >>> [round(options.pace(step), 2) for step in (0, 59, 500, 750, 999)]
        [0.02, 1.0, 1.0, 0.5, 0.0]
        """
        stage, begun = self._find(step)
        share = stage.first + (stage.last - stage.first) * (step - begun) / stage.steps
        return min((step + 1) / self.warmup, share)

    def _find(self, step: int) -> tuple[Stage, int]:
        """Find the stage of a step, and its first step."""
        ends = accumulate(stage.steps for stage in self.stages)
        return next((stage, end - stage.steps) for stage, end in zip(self.stages, ends, strict=True) if step < end)

    def save(self, path: Path) -> None:
        """Write the options as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "TowerOptions":
        """Load what `save` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**values | {"stages": tuple(Stage(**stage) for stage in values["stages"])})
