"""A killed run resumes to the same losses and weights."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from app.training.__main__ import main
from app.training.runs import Journal
from tests.conftest import wait_until

STEPS = 6  # of the tiny run: 18 pictures, 8 a step, 3 epochs


def losses(folder: Path, steps: int = STEPS) -> list[float]:
    """The loss of every step, each step once and in order."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "losses" in line]
    assert [line["step"] for line in lines] == list(range(1, steps + 1))
    return [line["losses"]["loss"] for line in lines]


def same_weights(one: Path, other: Path) -> bool:
    first, second = (torch.load(folder / "weights.pt", weights_only=True) for folder in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


class Killed(Exception):
    """Simulates the end of the process."""


@pytest.mark.parametrize("every", [1, 3])
def test_a_run_stopped_anywhere_ends_as_if_it_had_not(words, tmp_path: Path, monkeypatch, every: int):
    """Stopped after any step, with checkpoints every few steps, a run repeats the lost steps and ends the same."""
    assert main(words(keep="whole")) == 0
    after_step = Journal.after_step
    kept_at = {"step": 0}

    def stop(journal: Journal, found: float) -> str:
        line = after_step(journal, found)
        done = journal.trainer.done
        if done % every == 0:
            journal.keep()
        if done > kept_at["step"]:
            kept_at["step"] = done
            raise Killed
        return line

    monkeypatch.setattr(Journal, "after_step", stop)
    for _ in range(STEPS):
        with pytest.raises(Killed):
            main(words("--every", "1e9", keep="stopped"))
    assert main(words("--every", "1e9", keep="stopped")) == 0
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    assert same_weights(tmp_path / "stopped", tmp_path / "whole")


def test_a_process_killed_goes_on(words: Callable[..., list[str]], tmp_path: Path):
    """Killed with signal 9 and begun again with the same command, it has the same losses to the last bit."""
    more = ("--set", "epochs=4", "--set", "pictures_per_step=2", "--every", "0")
    assert main(words(*more, keep="whole")) == 0
    command = words(*more, keep="killed")
    kill_after([sys.executable, "-m", "app.training", *command], tmp_path / "killed/metrics.jsonl", lines=5)
    assert (tmp_path / "killed/checkpoint.pt").exists()
    assert main(command) == 0
    assert losses(tmp_path / "killed", 36) == losses(tmp_path / "whole", 36)
    assert same_weights(tmp_path / "killed", tmp_path / "whole")


def kill_after(command: list[str], metrics: Path, lines: int) -> None:
    """Start a training run, and kill it after it has written this many lines."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= lines, seconds=120)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_a_finished_run_is_left_alone(words, tmp_path: Path, capsys):
    """The same command again trains nothing; other options are refused."""
    assert main(words()) == 0
    before = (tmp_path / "run/weights.pt").stat().st_mtime_ns
    assert main(words()) == 0
    assert "already contains this run, finished" in capsys.readouterr().out
    assert main(words("--set", "smoothing=0.2")) == 2
    assert "holds a run with other options" in capsys.readouterr().err
    assert (tmp_path / "run/weights.pt").stat().st_mtime_ns == before


def test_other_pictures_are_refused(words, folder: Path, monkeypatch, capsys):
    """A run is not resumed if the number of its pictures has changed."""
    keep = Journal.after_step

    def stop(journal: Journal, found: float) -> str:
        keep(journal, found)
        raise Killed

    monkeypatch.setattr(Journal, "after_step", stop)
    with pytest.raises(Killed):
        main(words("--every", "0"))
    monkeypatch.undo()
    (folder / "banana/0.png").unlink()
    assert main(words()) == 2
    assert "begun with 18 pictures; 17 were found" in capsys.readouterr().err
