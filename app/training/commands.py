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


def train(args: argparse.Namespace, words: list[str]) -> int:
    """Start a run in the folder `--keep`, or resume the one that was stopped there."""
    options = options_of(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    saved = args.keep / "options.json"
    if saved.exists() and Options.load(saved) != options:
        raise TrainingError(f"{args.keep} holds a run with other options: remove it, or use another folder")
    if (args.keep / "run.json").exists():
        print(f"{args.keep} already contains this run, finished; remove it to train again")
        return 0
    batches = Batches(read_examples(args.source, options.stored_size, args.classes), options)
    args.keep.mkdir(parents=True, exist_ok=True)
    options.save(saved)
    (args.keep / "labels.txt").write_text("\n".join(batches.labels) + "\n", encoding="utf-8")
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(options, tokenizer_of(args.keep, batches.texts(), options), device, args.compile)
    earlier: dict[str, Any] = trainer.warm_start(args.start) if args.start else {"command": "", "minutes": 0.0}
    journal = Journal(args.keep, trainer, batches, args.every)
    trainer.run(batches, journal.after_step)
    command = (earlier["command"] + "\n" + command_line(words, args.source)).strip()
    journal.finish(command, earlier["minutes"])
    held_out = len(batches.held_out.labels)
    if held_out < CALIBRATED_FROM:
        print(f"not calibrated: {held_out} pictures were held out, and it takes {CALIBRATED_FROM}")
    return 0


def options_of(args: argparse.Namespace) -> Options:
    """Return the recipe's options with the changes from the command line."""
    changes = [f"{name}={value}" for name in ("seed", "epochs") if (value := getattr(args, name)) is not None]
    templates = ['templates=["{}"]'] if args.source.suffix == ".csv" else []  # a caption is used verbatim
    return RECIPES[args.recipe].changed([*changes, *templates, *args.set])


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


def test(args: argparse.Namespace) -> int:
    """Evaluate on other pictures with prompts as the classifier; saves the figures to `test.json` for the card."""
    trained = open_run(args.checkpoint)
    examples = read_examples(args.source, trained.options.image_size, args.classes)
    logits = trained.logits(examples.pictures.pixels, examples.texts)
    figures = test_figures(logits, examples.pictures.labels, examples.texts, trained.temperature)
    (args.checkpoint / "test.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if args.json:
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


def infer(args: argparse.Namespace) -> int:
    """Print the five best labels of each picture with their probabilities, calibrated if the run is."""
    trained = open_run(args.checkpoint)
    labels = [label.strip() for label in args.among.split(",")] if args.among else trained.labels
    for picture in args.pictures:
        pixels, name = chosen_picture(args, picture, trained.options.image_size)
        logits = trained.logits(np.stack([pixels]), labels)[0]
        chances = softmax(logits[None] / trained.temperature)[0]
        best = [{"label": labels[place], "probability": float(chances[place])} for place in np.argsort(-logits)[:5]]
        if args.json:
            print(json.dumps({"picture": name, "labels": best}))
        else:
            print("\n".join([name, *(f"{one['probability']:6.1%}  {one['label']}" for one in best)]))
    return 0


def chosen_picture(args: argparse.Namespace, path: Path, size: int) -> tuple[np.ndarray, str]:
    """Read the picture (3, size, size) of a file, or number `--idx` of a source, and describe it."""
    if args.idx is None:
        try:
            return square(open_picture(path.read_bytes(), LIMITS), size), str(path)
        except OSError as error:
            raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    examples = read_examples(path, size, args.classes)
    pictures = examples.pictures
    if not 0 <= args.idx < len(pictures.labels):
        raise TrainingError(f"--idx {args.idx} was found; {path} has the pictures 0 to {len(pictures.labels) - 1}")
    return pictures.pixels[args.idx], f"picture {args.idx}: {examples.texts[pictures.labels[args.idx]]}"


def export(args: argparse.Namespace) -> int:
    """Export a finished run as a model bundle."""
    write_bundle(open_run(args.checkpoint), args.note, args.licence, args.bundle)
    print(f"{args.bundle}: serve it with LARDER_MODEL={args.bundle}")
    return 0
