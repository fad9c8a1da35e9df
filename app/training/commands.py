"""The subcommands train, test, infer and export."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from app.errors import TrainingError
from app.images.decode import open_picture
from app.model.engines import Floats
from app.recognition.calibration import accuracy, calibration_error
from app.recognition.zero_shot import softmax
from app.training.batches import Batches
from app.training.data import square
from app.training.export import write_bundle
from app.training.options import RECIPES, Options
from app.training.runs import CALIBRATED_FROM, Journal, open_run
from app.training.sources import LIMITS, read_examples
from app.training.train import Trainer

PADDING = "<pad>"  # token 0, which the text tower masks
HITS = 10  # search hits that precision is computed on
PRIVATE = {"--keep": "CHECKPOINT", "--start": "EARLIER", "--classes": "CLASSES"}


def train(told: argparse.Namespace, words: list[str]) -> int:
    """Start a run in the folder `--keep`, or resume the one that was stopped there."""
    options = options_of(told)
    if told.threads:
        torch.set_num_threads(told.threads)
    saved = told.keep / "options.json"
    if saved.exists() and Options.load(saved) != options:
        raise TrainingError(f"{told.keep} holds a run with other options: remove it, or use another folder")
    if (told.keep / "run.json").exists():
        print(f"{told.keep} already contains this run, finished; remove it to train again")
        return 0
    batches = Batches(read_examples(told.source, options.stored_size, told.classes), options)
    told.keep.mkdir(parents=True, exist_ok=True)
    options.save(saved)
    (told.keep / "labels.txt").write_text("\n".join(batches.labels) + "\n", encoding="utf-8")
    device = told.device or ("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(options, tokenizer_of(told.keep, batches.texts(), options), device, told.compile)
    earlier: dict[str, Any] = trainer.warm_start(told.start) if told.start else {"command": "", "minutes": 0.0}
    journal = Journal(told.keep, trainer, batches, told.every)
    trainer.run(batches, journal.after_step)
    command = (earlier["command"] + "\n" + command_line(words, told.source)).strip()
    journal.finish(command, earlier["minutes"])
    held_out = len(batches.held_out.labels)
    if held_out < CALIBRATED_FROM:
        print(f"not calibrated: {held_out} pictures were held out, and it takes {CALIBRATED_FROM}")
    return 0


def options_of(told: argparse.Namespace) -> Options:
    """Return the recipe's options with the changes from the command line."""
    changes = [f"{name}={value}" for name in ("seed", "epochs") if (value := getattr(told, name)) is not None]
    templates = ['templates=["{}"]'] if told.source.suffix == ".csv" else []  # a caption is used verbatim
    return RECIPES[told.recipe].changed([*changes, *templates, *told.set])


def tokenizer_of(folder: Path, texts: list[str], options: Options) -> Tokenizer:
    """Load the tokenizer of a stopped run, or train a new one."""
    path = folder / "tokenizer.json"
    if not (folder / "checkpoint.pt").exists():
        train_tokenizer(texts, options.vocabulary_size, options.context_length).save(str(path))
    return Tokenizer.from_file(str(path))


def train_tokenizer(texts: list[str], vocabulary: int, context: int) -> Tokenizer:
    """Train a lower-casing byte-level BPE tokenizer that truncates and pads to `context` tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PADDING], initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.enable_truncation(context)
    tokenizer.enable_padding(length=context, pad_id=0, pad_token=PADDING)
    return tokenizer


def command_line(words: list[str], source: Path) -> str:
    """Return the command as typed, without the folders of this machine."""
    hidden = [PRIVATE.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    return "python -m app.training " + shlex.join("SOURCE" if word == str(source) else word for word in hidden)


def test(told: argparse.Namespace) -> int:
    """Evaluate on other pictures with prompts as the classifier; saves the figures to `test.json` for the card."""
    trained = open_run(told.checkpoint)
    examples = read_examples(told.source, trained.options.image_size, told.classes)
    logits = trained.logits(examples.pictures.pixels, examples.texts)
    figures = test_figures(logits, examples.pictures.labels, examples.texts, trained.temperature)
    (told.checkpoint / "test.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if told.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {round(value, 4)}" for name, value in figures["all"].items()))
    return 0


def test_figures(logits: Floats, labels: np.ndarray, names: list[str], temperature: float) -> dict[str, Any]:
    """Compute the metrics overall and per label from logits (N, K) and labels (N,); skips labels without pictures."""
    right = logits.argmax(axis=1) == labels
    hits = labels[np.argsort(-logits, axis=0, kind="stable")[:HITS]]  # (10, K)
    by_label = {
        names[label]: {
            "top_1": float(right[labels == label].mean()),
            "search_precision_at_10": float((hits[:, label] == label).mean()),
        }
        for label in np.unique(labels)
    }
    overall = {
        "pictures": len(labels),
        "labels": len(names),
        "top_1": accuracy(logits, labels),
        "top_5": accuracy(logits, labels, 5),
        "calibration_error": calibration_error(softmax(logits / temperature), labels),
        "search_precision_at_10": float(np.mean([one["search_precision_at_10"] for one in by_label.values()])),
    }
    return {"all": overall, "by_label": by_label}


def infer(told: argparse.Namespace) -> int:
    """Print the five best labels of each picture with their probabilities, calibrated if the run is."""
    trained = open_run(told.checkpoint)
    labels = [label.strip() for label in told.among.split(",")] if told.among else trained.labels
    for picture in told.pictures:
        pixels, name = chosen_picture(told, picture, trained.options.image_size)
        logits = trained.logits(np.stack([pixels]), labels)[0]
        chances = softmax(logits[None] / trained.temperature)[0]
        best = [{"label": labels[place], "probability": float(chances[place])} for place in np.argsort(-logits)[:5]]
        if told.json:
            print(json.dumps({"picture": name, "labels": best}))
        else:
            print("\n".join([name, *(f"{one['probability']:6.1%}  {one['label']}" for one in best)]))
    return 0


def chosen_picture(told: argparse.Namespace, path: Path, size: int) -> tuple[np.ndarray, str]:
    """Read the picture (3, size, size) of a file, or number `--idx` of a source, and describe it."""
    if told.idx is None:
        try:
            return square(open_picture(path.read_bytes(), LIMITS), size), str(path)
        except OSError as error:
            raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    examples = read_examples(path, size, told.classes)
    pictures = examples.pictures
    if not 0 <= told.idx < len(pictures.labels):
        raise TrainingError(f"--idx {told.idx} was found; {path} has the pictures 0 to {len(pictures.labels) - 1}")
    return pictures.pixels[told.idx], f"picture {told.idx}: {examples.texts[pictures.labels[told.idx]]}"


def export(told: argparse.Namespace) -> int:
    """Export a finished run as a model bundle."""
    write_bundle(open_run(told.checkpoint), told.note, told.licence, told.bundle)
    print(f"{told.bundle}: serve it with LARDER_MODEL={told.bundle}")
    return 0
