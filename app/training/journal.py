"""What a run leaves in its folder while it goes: metrics, averaged weights, a checkpoint to go on from."""

import json
import os
import time
from pathlib import Path
from typing import Any

from app.training.checkpoint import read_state, write_state
from app.training.curves import draw_curves
from app.training.steps import Task
from app.training.train import Losses, Trainer

SCORES = 10  # at least so many in a run


class Journal:
    """Called after every step; made anew in the folder of a run that was stopped, it goes on from its checkpoint.

    `metrics.jsonl` has a line for every step and every score, `curves.png` shows them; `weights.pt` are the averaged
    weights of the last score; `checkpoint.pt` is written every `every` seconds and removed by `finish`.
    """

    def __init__(self, folder: Path, trainer: Trainer, task: Task, every: float) -> None:
        self.folder, self.trainer, self.task, self.every = folder, trainer, task, every
        self.metrics = folder / "metrics.jsonl"
        self.before, size = 0.0, 0  # seconds of earlier processes, bytes of metrics at the checkpoint
        if (folder / "checkpoint.pt").exists():
            state = read_state(folder / "checkpoint.pt")
            trainer.restore(state["trainer"])
            task.restore(state["task"])
            self.before, size = state["seconds"], state["metrics"]
        self.metrics.touch()
        os.truncate(self.metrics, size)
        self.began = self.kept = time.monotonic()

    def after_step(self, losses: Losses) -> str:
        """Note the losses; score after some epochs, keep a checkpoint when it is time. Returns a line to show."""
        self.note(losses=losses)
        epoch, rest = divmod(self.trainer.done, self.task.steps_per_epoch)
        epochs = self.trainer.options.epochs
        due = not rest and (epoch % max(1, epochs // SCORES) == 0 or epoch == epochs)
        line = self.score() if due else ""
        if time.monotonic() - self.kept >= self.every:
            self.keep()
        return line

    def note(self, **what: dict[str, float]) -> None:
        """One line of metrics."""
        done = self.trainer.done
        rate = self.trainer.optimisers[0].param_groups[0]["lr"]
        line = {"step": done, "epoch": round(done / self.task.steps_per_epoch, 4), "rate": rate, **what}
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def score(self) -> str:
        """Score the averaged weights and keep them."""
        average = self.trainer.average
        scores = self.task.score(average, self.trainer.tokenizer)
        self.note(scores=scores)
        write_state(average.state_dict(), self.folder / "weights.pt")
        draw_curves(self.metrics, self.folder / "curves.png")
        epoch = self.trainer.done // self.task.steps_per_epoch
        return f"epoch {epoch}: " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items())

    def keep(self) -> None:
        """Write the checkpoint."""
        state: dict[str, Any] = {
            "trainer": self.trainer.state(),
            "task": self.task.state(),
            "seconds": self.seconds(),
            "metrics": self.metrics.stat().st_size,
        }
        write_state(state, self.folder / "checkpoint.pt")
        self.kept = time.monotonic()

    def seconds(self) -> float:
        """How long the run has gone, over all its processes."""
        return self.before + time.monotonic() - self.began

    def finish(self, command: str, minutes: float) -> None:
        """Write `run.json`, which says that the run is over; `minutes` were spent by the run that it started from."""
        scores = self.task.score(self.trainer.average, self.trainer.tokenizer)
        write_state(self.trainer.average.state_dict(), self.folder / "weights.pt")
        run = {"command": command, "minutes": round(minutes + self.seconds() / 60, 1), "scores": scores}
        (self.folder / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)
