"""What the subcommands do: train, test, infer, export."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from app.errors import TrainingError
from app.images.decode import open_picture
from app.training import scoring
from app.training.captioned import Captioned
from app.training.data import read_classes, square
from app.training.finish import write_bundle
from app.training.groceries import open_groceries
from app.training.journal import Journal
from app.training.options import Options
from app.training.publish import publish
from app.training.recipes import RECIPES
from app.training.runs import open_run
from app.training.sources import LIMITS, read_examples
from app.training.steps import Task
from app.training.tokens import train_tokenizer
from app.training.train import Trainer

PRIVATE = {"--keep": "CHECKPOINT", "--start": "EARLIER", "--classes": "CLASSES", "--labels": "LABELS"}


def train(told: argparse.Namespace, words: list[str]) -> int:
    """Begin a run in the folder `--keep`, or go on with the one that was stopped there."""
    options = options_of(told)
    if told.threads:
        torch.set_num_threads(told.threads)
    saved = told.keep / "options.json"
    if saved.exists() and Options.load(saved) != options:
        raise TrainingError(f"{told.keep} holds a run with other options: remove it, or take another folder")
    if (told.keep / "run.json").exists():
        print(f"{told.keep} holds this run already, finished; remove it to train anew")
        return 0
    task = open_task(told, options)
    told.keep.mkdir(parents=True, exist_ok=True)
    options.save(saved)
    (told.keep / "labels.txt").write_text("\n".join(task.labels) + "\n", encoding="utf-8")
    trainer = Trainer(options, tokenizer_of(told.keep, task, options), told.device or device(), told.compile)
    before: dict[str, Any] = trainer.go_on(told.start) if told.start else {"command": "", "minutes": 0.0}
    journal = Journal(told.keep, trainer, task, told.every)
    trainer.run(task, journal.after_step)
    command = (before["command"] + "\n" + command_line(words, told.source)).strip()
    journal.finish(command, before["minutes"])
    return 0


def options_of(told: argparse.Namespace) -> Options:
    """The recipe's options with what the command line changes."""
    changes = [f"{name}={value}" for name in ("seed", "epochs") if (value := getattr(told, name)) is not None]
    templates = ['templates=["{}"]'] if told.source.suffix == ".csv" else []  # its captions stand as they are
    return RECIPES[told.recipe].changed([*changes, *templates, *told.set])


def device() -> str:
    """The fastest device there is."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def open_task(told: argparse.Namespace, options: Options) -> Task:
    """The task that the options name, over the source."""
    if options.task == "groceries":
        return open_groceries(told.source, told.labels, options)
    return Captioned(read_examples(told.source, options.stored_size, told.classes), options)


def tokenizer_of(folder: Path, task: Task, options: Options) -> Tokenizer:
    """The tokenizer of the run that was stopped, or a new one."""
    path = folder / "tokenizer.json"
    if not (folder / "checkpoint.pt").exists():
        train_tokenizer(task.texts(), options.vocabulary_size, options.context_length).save(str(path))
    return Tokenizer.from_file(str(path))


def command_line(words: list[str], source: Path) -> str:
    """The command as typed, with this machine's folders left out."""
    hidden = [PRIVATE.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    return "python -m app.training " + shlex.join("SOURCE" if word == str(source) else word for word in hidden)


def test(told: argparse.Namespace) -> int:
    """Measure on other pictures, prompts being the classifier; the figures stay in `test.json` for the card."""
    trained = open_run(told.checkpoint)
    examples = read_examples(told.source, trained.options.image_size, told.classes)
    logits = trained.logits(examples.pictures.pixels, examples.texts)
    figures = scoring.test_figures(logits, examples.pictures.labels, examples.texts, trained.temperature)
    (told.checkpoint / "test.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if told.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {round(value, 4)}" for name, value in figures["all"].items()))
    return 0


def infer(told: argparse.Namespace) -> int:
    """The five best labels of a picture, with their calibrated probabilities."""
    trained = open_run(told.checkpoint)
    labels = [label.strip() for label in told.among.split(",")] if told.among else trained.labels
    pixels, name = chosen_picture(told, trained.options.image_size)
    logits = trained.logits(np.stack([pixels]), labels)[0]
    chances = scoring.softmax(logits[None] / trained.temperature)[0]
    best = [{"label": labels[place], "probability": float(chances[place])} for place in np.argsort(-logits)[:5]]
    if told.json:
        print(json.dumps({"picture": name, "labels": best}))
    else:
        print("\n".join([name, *(f"{one['probability']:6.1%}  {one['label']}" for one in best)]))
    return 0


def chosen_picture(told: argparse.Namespace, size: int) -> tuple[np.ndarray, str]:
    """The picture [3, size, size] of a file, or number `--idx` of the source, and what it is."""
    if told.idx is None:
        try:
            return square(open_picture(told.picture.read_bytes(), LIMITS), size), str(told.picture)
        except OSError as error:
            raise TrainingError(f"{told.picture} cannot be read: {error.strerror}") from error
    examples = read_examples(told.picture, size, told.classes)
    pictures = examples.pictures
    if not 0 <= told.idx < len(pictures.labels):
        raise TrainingError(
            f"--idx {told.idx} was found; {told.picture} has the pictures 0 to {len(pictures.labels) - 1}"
        )
    return pictures.pixels[told.idx], f"picture {told.idx}: {examples.texts[pictures.labels[told.idx]]}"


def export(told: argparse.Namespace) -> int:
    """Make a bundle of a finished run."""
    trained = open_run(told.checkpoint)
    if trained.options.task == "groceries":
        if told.data is None:
            raise TrainingError("a run on groceries is calibrated and measured when it is exported: give --data FOLDER")
        classes = read_classes(told.data / "grocery/classes.csv")
        print(json.dumps(write_bundle(trained, classes, told.data, told.labels, told.bundle), indent=2))
    else:
        publish(trained, told.note, told.licence, told.bundle)
    print(f"{told.bundle}: serve it with LARDER_MODEL={told.bundle}")
    return 0
