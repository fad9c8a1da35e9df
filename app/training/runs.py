"""The folder of a run: metrics and checkpoints during training, the trained model afterwards."""

import json
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import torch
from tokenizers import Tokenizer

from app.atomic import atomic_write
from app.errors import TrainingError
from app.model.bundle import PROBE_PROMPT, Proof, make_proof, probe_pixels, tokenize
from app.model.encoder import Encoder
from app.model.engines import Floats
from app.recognition.calibration import accuracy, calibration_error, fit_temperature
from app.recognition.vocabulary import encode
from app.recognition.zero_shot import softmax
from app.training.augment import normalise
from app.training.model import SmallClip
from app.training.options import Options

if TYPE_CHECKING:
    from app.training.batches import Batches
    from app.training.train import Trainer

SCORES = 10  # evaluations per run at least
CALIBRATED_FROM = 100  # pictures; if fewer, often all are classified correctly: the fit would always be sure
BATCH = 64  # pictures encoded at a time
COLOURS = ("#1b6ca8", "#c8553d", "#4f8a3c", "#8a5a9e", "#b8860b")
NO_SHARES = ("pictures", "temperature")  # among the scores: not shares of 1
SMOOTHING = 0.98  # of the losses between steps; the raw values are drawn pale


def write_state(state: dict[str, Any], path: Path) -> None:
    """Save tensors and numbers atomically."""
    with atomic_write(path) as part:
        torch.save(state, part)


def read_state(path: Path) -> dict[str, Any]:
    """Load what `write_state` wrote to the CPU, without executing code from it."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


@dataclass(frozen=True)
class Trained:
    """A trained model with the records of its run."""

    model: SmallClip
    tokenizer: Tokenizer
    options: Options
    labels: list[str]
    command: str = ""
    minutes: float = 0.0
    scores: dict[str, float] | None = None
    """Scores on the held-out pictures."""
    test: dict[str, Any] | None = None
    """Figures of the command `test`, if it was run."""

    @property
    def temperature(self) -> float:
        """Return the temperature that divides the logits; 1 if none was fitted."""
        return (self.scores or {}).get("temperature", 1.0)

    @property
    def encoder(self) -> Encoder:
        """Return an encoder that prepares pictures and texts as serving does."""
        return Encoder(partial(tokenize, self.tokenizer), self.model, self.options.embedding_size)

    def logits(self, pixels: np.ndarray, labels: list[str]) -> Floats:
        """Compute logits (N, K) of pictures (N, 3, S, S) uint8 against labels, with the first template of the run."""
        prototypes = encode([(label,) for label in labels], self.options.templates[:1], self.encoder)
        parts = (torch.from_numpy(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH))
        found = [self.encoder.pictures(list(normalise(part.float() / 255).numpy())) for part in parts]
        return np.float32(self.model.scale().item()) * (np.concatenate(found) @ prototypes.T)

    def score(self, pixels: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Compute the accuracy over all labels on pictures (N, 3, S, S); given enough, fit the temperature."""
        logits = self.logits(pixels, self.labels)
        scores = {"pictures": len(labels), "accuracy": accuracy(logits, labels)}
        if len(labels) < CALIBRATED_FROM:
            return scores
        temperature = fit_temperature(logits, labels)
        error = calibration_error(softmax(logits / temperature), labels)
        return scores | {"temperature": temperature, "calibration_error": error}

    def proof(self) -> Proof:
        """Compute the towers' outputs for the probes of a bundle."""
        picture = self.encoder.pictures(list(probe_pixels(self.options.image_size)))
        return make_proof(picture, self.encoder.texts([PROBE_PROMPT]))


def open_run(folder: Path) -> Trained:
    """Load the averaged (EMA) model of a run; raises TrainingError if there is no finished run."""
    if not (folder / "run.json").is_file():
        raise TrainingError(f"{folder} has no finished run: run.json is missing")
    options = Options.load(folder / "options.json")
    model = SmallClip(options).eval()
    model.load_state_dict(read_state(folder / "weights.pt"))
    test = folder / "test.json"
    return Trained(
        model,
        Tokenizer.from_file(str(folder / "tokenizer.json")),
        options,
        (folder / "labels.txt").read_text(encoding="utf-8").splitlines(),
        **json.loads((folder / "run.json").read_text(encoding="utf-8")),
        test=json.loads(test.read_text(encoding="utf-8")) if test.is_file() else None,
    )


class Journal:
    """Training callback, called after every step; resumes from the checkpoint in the folder of a stopped run.

    `metrics.jsonl` has a line for every step and every evaluation, and `curves.png` plots them. `weights.pt` has the
    EMA weights of the last evaluation. `checkpoint.pt` is written every `every` seconds and removed by `finish`.
    """

    def __init__(self, folder: Path, trainer: "Trainer", batches: "Batches", every: float) -> None:
        self.folder, self.trainer, self.batches, self.every = folder, trainer, batches, every
        self.metrics = folder / "metrics.jsonl"
        self.before, size = 0.0, 0  # seconds of earlier processes, bytes of metrics at the checkpoint
        if (folder / "checkpoint.pt").exists():
            state = read_state(folder / "checkpoint.pt")
            trainer.restore(state["trainer"])
            batches.restore(state["batches"])
            self.before, size = state["seconds"], state["metrics"]
        self.metrics.touch()
        os.truncate(self.metrics, size)
        self.began = self.kept = time.monotonic()

    def after_step(self, loss: float) -> str:
        """Log the loss; evaluate after some epochs and save a checkpoint when due. Returns a line to show."""
        self.note(losses={"loss": loss})
        epoch, rest = divmod(self.trainer.done, self.batches.steps_per_epoch)
        epochs = self.trainer.options.epochs
        line = ""
        if not rest and (epoch % max(1, epochs // SCORES) == 0 or epoch == epochs):
            scores = self.score()
            self.note(scores=scores)
            draw_curves(self.metrics, self.folder / "curves.png")
            line = f"epoch {epoch}, held out: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
        if time.monotonic() - self.kept >= self.every:
            self.keep()
        return line

    def note(self, **what: dict[str, float]) -> None:
        """Append one line to the metrics."""
        done = self.trainer.done
        rate = self.trainer.optimisers[0].param_groups[0]["lr"]
        line = {"step": done, "epoch": round(done / self.batches.steps_per_epoch, 4), "rate": rate, **what}
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def score(self) -> dict[str, float]:
        """Evaluate the EMA weights on the held-out pictures and save them."""
        trainer, held_out = self.trainer, self.batches.held_out
        write_state(trainer.average.state_dict(), self.folder / "weights.pt")
        trained = Trained(trainer.average, trainer.tokenizer, trainer.options, self.batches.labels)
        return trained.score(held_out.pixels, held_out.labels)

    def keep(self) -> None:
        """Write the checkpoint."""
        state: dict[str, Any] = {
            "trainer": self.trainer.state(),
            "batches": self.batches.state(),
            "seconds": self.seconds(),
            "metrics": self.metrics.stat().st_size,
        }
        write_state(state, self.folder / "checkpoint.pt")
        self.kept = time.monotonic()

    def seconds(self) -> float:
        """Return the duration of the run over all its processes, s."""
        return self.before + time.monotonic() - self.began

    def finish(self, command: str, minutes: float) -> None:
        """Write `run.json`, which marks the run as finished; `minutes` were spent by the run that it started from."""
        run = {"command": command, "minutes": round(minutes + self.seconds() / 60, 1), "scores": self.score()}
        (self.folder / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)


def draw_curves(metrics: Path, picture: Path) -> None:
    """Plot `metrics.jsonl` over the epochs as PNG."""
    matplotlib.use("agg")
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(8, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for colour, (name, (epochs, values)) in zip(COLOURS, series(lines, "losses").items(), strict=False):
        above.plot(epochs, values, color=colour, alpha=0.2, linewidth=0.8)
        above.plot(epochs, smooth(values), color=colour, linewidth=2, label=name)
    for colour, (name, (epochs, values)) in zip(COLOURS, series(lines, "scores").items(), strict=False):
        if name not in NO_SHARES:
            below.plot(epochs, values, color=colour, linewidth=2, marker="o", markersize=4, label=name)
    above.set_ylabel("loss")
    below.set(xlabel="epoch", ylabel="on the pictures held out", ylim=(0, 1))
    for axes in (above, below):
        axes.grid(color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    figure.savefig(picture, dpi=110)


def series(lines: list[dict[str, Any]], kind: str) -> dict[str, tuple[list[float], list[float]]]:
    """Collect the epochs and values of every number in the lines of one kind."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for line in lines:
        for name, value in line.get(kind, {}).items():
            epochs, values = found.setdefault(name, ([], []))
            epochs.append(line["epoch"])
            values.append(value)
    return found


def smooth(values: list[float]) -> list[float]:
    """Exponential moving average with bias correction at the start."""
    mean, weight, out = 0.0, 0.0, []
    for value in values:
        mean, weight = SMOOTHING * mean + (1 - SMOOTHING) * value, SMOOTHING * weight + 1 - SMOOTHING
        out.append(mean / weight)
    return out
