"""A finished run, read from its folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from app.errors import TrainingError
from app.model.bundle import PROBE_PROMPT, Proof, make_proof, probe_pixels
from app.training.checkpoint import read_state
from app.training.figures import logits_of, text_encoder
from app.training.model import SmallClip
from app.training.options import Options


@dataclass(frozen=True)
class Trained:
    """What a run leaves behind."""

    model: SmallClip
    tokenizer: Tokenizer
    options: Options
    command: str
    minutes: float
    labels: list[str]
    scores: dict[str, float]  # on the pictures held out
    test: dict[str, Any] | None  # figures of `test`, where it was run

    @property
    def temperature(self) -> float:
        """What divides the logits; 1 where none was fitted yet."""
        return self.scores.get("temperature", 1.0)

    def logits(self, pixels: np.ndarray, labels: list[str]) -> np.ndarray:
        """Logits [N, K] of pictures [N, 3, S, S] uint8 for labels, in the first of the run's templates."""
        return logits_of(self.model, self.tokenizer, pixels, labels, self.options.templates[0])

    def proof(self) -> Proof:
        """What the towers answer to the probes of a bundle."""
        with torch.no_grad():
            picture = self.model.served()(torch.from_numpy(probe_pixels(self.options.image_size)))  # [1, D]
        return make_proof(picture.numpy(), text_encoder(self.model, self.tokenizer)([PROBE_PROMPT]))


def open_run(folder: Path) -> Trained:
    """The averaged model of a run; raises TrainingError where there is none that is finished."""
    if not (folder / "run.json").is_file():
        raise TrainingError(f"{folder} holds no finished run: there is no run.json in it")
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    options = Options.load(folder / "options.json")
    model = SmallClip(options).eval()
    model.load_state_dict(read_state(folder / "weights.pt"))
    test = folder / "test.json"
    return Trained(
        model=model,
        tokenizer=Tokenizer.from_file(str(folder / "tokenizer.json")),
        options=options,
        command=run["command"],
        minutes=run["minutes"],
        labels=(folder / "labels.txt").read_text(encoding="utf-8").splitlines(),
        scores=run["scores"],
        test=json.loads(test.read_text(encoding="utf-8")) if test.is_file() else None,
    )
