"""What a trained CNN answered, kept as a small file instead of its 45 MB of weights."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from app.errors import EvaluationError
from app.model.engines import Floats


@dataclass(frozen=True)
class Predictions:
    """How a CNN was made, and its logits for the pictures of `val` and `test` (N, C)."""

    architecture: str
    pretrained: bool
    size: int
    train_size: int
    epochs: int
    cpu_minutes: float
    command: str
    digest: str
    """Of the pictures that were answered."""
    val: Floats
    test: Floats

    def facts(self) -> dict[str, Any]:
        """All but the logits."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("val", "test")}

    def save(self, path: Path) -> None:
        """Write an .npz file with logits in float16."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            facts = np.array(json.dumps(self.facts()))
            np.savez_compressed(file, facts=facts, val=self.val.astype(np.float16), test=self.test.astype(np.float16))

    @classmethod
    def load(cls, path: Path, digest: str) -> "Predictions":
        """What `save` wrote; raises EvaluationError when it cannot be read or answers other pictures."""
        try:
            with np.load(path) as file:
                facts = json.loads(str(file["facts"]))
                found = cls(**facts, val=file["val"].astype(np.float32), test=file["test"].astype(np.float32))
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise EvaluationError(f"the CNN's predictions {path} cannot be read: {error}") from error
        if found.digest != digest:
            raise EvaluationError(f"the CNN's predictions {path} are of other pictures: train it anew with `baseline`")
        return found
