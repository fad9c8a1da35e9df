"""The command: `python -m app.training --data FOLDER --out models/larder-small`."""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from app.training.batches import Batches
from app.training.captions import Captions, build_captions, read_names
from app.training.data import Classes, read_classes, read_pictures
from app.training.drawings import draw_groceries
from app.training.figures import embed_pictures
from app.training.finish import Trained, prompts_of, write_bundle
from app.training.model import SmallClip
from app.training.options import Options
from app.training.scoring import accuracy
from app.training.tokens import train_tokenizer
from app.training.train import Report, Trainer


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m app.training", description="Train the small CLIP, write its bundle.")
    top.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="has grocery/ and cifar10/ in it")
    top.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the bundle is written")
    top.add_argument("--labels", type=Path, default=Path("labels"), metavar="FOLDER", help="label files (%(default)s)")
    top.add_argument("--keep", type=Path, default=Path("data/training"), metavar="DIR", help="checkpoint (%(default)s)")
    top.add_argument("--seed", type=int, default=Options.seed, help="same seed, same weights (%(default)s)")
    top.add_argument("--epochs", type=int, default=Options.epochs, help="passes over the groceries (%(default)s)")
    top.add_argument(
        "--drawings", type=int, default=Options.drawings, metavar="N", help="add N drawn groceries (%(default)s)"
    )
    top.add_argument("--threads", type=int, default=0, help="processor threads (0: as many as there are)")
    top.add_argument("--compile", action="store_true", help="compile the picture tower first; needs a C++ compiler")
    top.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change an option; VALUE is JSON")
    top.add_argument("--start", type=Path, metavar="DIR", help="go on from the weights of this checkpoint")
    top.add_argument("--only-bundle", action="store_true", help="train nothing: write the bundle of the checkpoint")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, keep the checkpoint, write the bundle."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    told = parser().parse_args(words)
    if told.threads:
        torch.set_num_threads(told.threads)
    classes = read_classes(told.data / "grocery/classes.csv")
    if not told.only_bundle:
        train(told, classes, command_line(words))
    run = json.loads((told.keep / "run.json").read_text(encoding="utf-8"))
    options = Options.load(told.keep / "options.json")
    model = SmallClip(options).eval()
    model.load_state_dict(torch.load(told.keep / "weights.pt", weights_only=True))
    tokenizer = Tokenizer.from_file(str(told.keep / "tokenizer.json"))
    trained = Trained(model, tokenizer, options, run["command"], run["minutes"])
    figures = write_bundle(trained, classes, told.data, told.labels, told.out)
    print(json.dumps(figures, indent=2))
    return 0


def command_line(words: Sequence[str]) -> str:
    """The command as typed, with this machine's folders left out."""
    private = {"--data": "DATA", "--keep": "CHECKPOINT", "--start": "EARLIER"}
    hidden = [private.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    return "python -m app.training " + shlex.join(hidden)


def train(told: argparse.Namespace, classes: Classes, command: str) -> None:
    """One run: `weights.pt`, `tokenizer.json`, `options.json` and `run.json` in the checkpoint folder."""
    options = Options(seed=told.seed, epochs=told.epochs, drawings=told.drawings).changed(told.set)
    captions = captions_of(classes, told.labels)
    tokenizer = train_tokenizer(captions, options.vocabulary_size, options.context_length, options.seed)
    told.keep.mkdir(parents=True, exist_ok=True)
    options.save(told.keep / "options.json")
    tokenizer.save(str(told.keep / "tokenizer.json"))
    groceries = read_pictures(told.data / "grocery/train.parquet", options.stored_size)
    others = read_pictures(told.data / "cifar10/train.parquet", 32)
    names = [names[0] for names in captions.fine]
    drawings = draw_groceries(names, options.drawings, options.stored_size) if options.drawings else None
    trainer = Trainer(options, captions, tokenizer, told.compile)
    before: dict[str, Any] = trainer.go_on(told.start) if told.start else {"command": "", "minutes": 0.0}
    start = time.monotonic()
    model = trainer.run(Batches(groceries, others, options, drawings), reporter(told, options, classes, tokenizer))
    minutes = before["minutes"] + (time.monotonic() - start) / 60
    run = {"command": (before["command"] + "\n" + command).strip(), "minutes": round(minutes, 1)}
    torch.save(model.state_dict(), told.keep / "weights.pt")
    (told.keep / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")


def captions_of(classes: Classes, labels: Path) -> Captions:
    """Captions of the trained classes: the first lines of the label file."""
    pantry = read_names(labels / "pantry.txt")[: len(classes.coarse_of)]
    numbers = (classes.coarse_of.tolist(), classes.coarse_names, classes.group_of.tolist(), classes.groups)
    return build_captions(pantry, *numbers)


def reporter(told: argparse.Namespace, options: Options, classes: Classes, tokenizer: Tokenizer) -> Report:
    """A function that scores the averaged weights on `val` now and then, and keeps them."""
    val = read_pictures(told.data / "grocery/val.parquet", options.image_size)

    def report(epoch: int, model: SmallClip) -> str:
        if (epoch + 1) % max(1, options.epochs // 10):
            return ""
        torch.save(model.state_dict(), told.keep / "weights.pt")
        prompts = prompts_of(model, tokenizer, classes, told.labels)
        pictures = embed_pictures(model, val.pixels)
        fine, everything = (accuracy(pictures @ some.T, val.labels) for some in (prompts.fine, prompts.pantry))
        coarse = accuracy(pictures @ prompts.coarse.T, classes.coarse_of[val.labels])
        return f"epoch {epoch + 1}: val fine {fine:.3f}, with unseen goods {everything:.3f}, coarse {coarse:.3f}"

    return report


if __name__ == "__main__":
    sys.exit(main())
