"""The command: `python -m app.training train`, `test`, `infer` and `export`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import LarderError
from app.optional import need
from app.training.recipes import RECIPES

SOURCE = "a folder of one folder a class, a .parquet file (image, label) or a .csv file (path, caption)"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m app.training", description="Train a small CLIP of one's own.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_train(commands)
    test = commands.add_parser("test", help="measure a finished run on other pictures, prompts being the classifier")
    test.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the folder of a run")
    test.add_argument("source", type=Path, metavar="SOURCE", help=SOURCE)
    infer = commands.add_parser("infer", help="the five best labels of a picture")
    infer.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the folder of a run")
    infer.add_argument("picture", type=Path, metavar="PICTURE", help="a picture; with --idx a source, as for test")
    infer.add_argument("--idx", type=int, metavar="N", help="take picture N of the source, counted from 0")
    infer.add_argument("--among", metavar="A,B,C", help="the labels; without it, those of the training")
    export = commands.add_parser("export", help="make a bundle of a finished run")
    export.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the folder of a run")
    export.add_argument("bundle", type=Path, metavar="BUNDLE", help="the folder to write, such as models/mine")
    export.add_argument("--note", default="not stated.", metavar="TEXT", help="what the pictures were, their licence")
    export.add_argument("--licence", default="not stated", metavar="TEXT", help="of the weights")
    export.add_argument("--data", type=Path, metavar="FOLDER", help="groceries alone: has grocery/ and cifar10/ in it")
    export.add_argument("--labels", type=Path, default=Path("labels"), metavar="FOLDER", help="groceries: label files")
    for command in (test, infer):
        command.add_argument("--classes", type=Path, metavar="FILE", help="class list of a parquet file")
        command.add_argument("--json", action="store_true", help="the answer as a JSON object")
    return top


def add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `train`."""
    train = commands.add_parser("train", help="begin a run, or go on with one that was stopped")
    train.add_argument("source", type=Path, metavar="SOURCE", help=SOURCE + "; groceries: the folder of all data")
    train.add_argument("--keep", type=Path, default=Path("data/training/run"), metavar="DIR", help="(%(default)s)")
    train.add_argument("--recipe", choices=list(RECIPES), default="photos", help="(%(default)s)")
    train.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change an option; VALUE is JSON"
    )
    train.add_argument("--seed", type=int, help="same seed, same weights")
    train.add_argument("--epochs", type=int, help="passes over the pictures")
    train.add_argument("--classes", type=Path, metavar="FILE", help="class list of a parquet file, if not beside it")
    train.add_argument("--labels", type=Path, default=Path("labels"), metavar="FOLDER", help="groceries: label files")
    train.add_argument("--start", type=Path, metavar="DIR", help="begin with the weights of this finished run")
    train.add_argument("--every", type=float, default=60, metavar="SECONDS", help="between checkpoints (%(default)s)")
    train.add_argument("--device", help="cpu or cuda; without it, cuda where there is one")
    train.add_argument("--threads", type=int, default=0, help="processor threads (0: as many as there are)")
    train.add_argument("--compile", action="store_true", help="compile the picture tower first; needs a C++ compiler")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    told = parser().parse_args(words)
    try:
        need("training", ("torch",), "requirements-model.txt")
        from app.training import commands

        if told.command == "train":
            return commands.train(told, words)
        return {"test": commands.test, "infer": commands.infer, "export": commands.export}[told.command](told)
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
