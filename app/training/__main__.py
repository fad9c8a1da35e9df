"""Command line of the training: `python -m app.training train`, `test`, `infer` and `export`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import LarderError
from app.optional import need
from app.training.options import RECIPES

SOURCE = "a folder with a subfolder for each class, a .parquet file (image, label) or a .csv file (path, caption)"


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    top = argparse.ArgumentParser(prog="python -m app.training", description="Train a small CLIP on your own pictures.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_train(commands)
    test = commands.add_parser("test", help="measure a finished run on other pictures")
    test.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of a finished run")
    test.add_argument("source", type=Path, metavar="SOURCE", help=SOURCE)
    infer = commands.add_parser("infer", help="print the five best labels of pictures")
    infer.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of a finished run")
    infer.add_argument(
        "pictures", type=Path, nargs="+", metavar="PICTURE", help="picture files; with --idx, sources as for test"
    )
    infer.add_argument("--idx", type=int, metavar="N", help="take picture N of the source, counted from 0")
    infer.add_argument("--among", metavar="A,B,C", help="labels to choose from (default: those it was trained on)")
    export = commands.add_parser("export", help="make a model bundle of a finished run")
    export.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of a finished run")
    export.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder to write, such as models/mine")
    export.add_argument("--note", default="not stated.", metavar="TEXT", help="the pictures and their licence")
    export.add_argument("--licence", default="not stated", metavar="TEXT", help="licence of the weights")
    for command in (test, infer):
        command.add_argument("--classes", type=Path, metavar="FILE", help="class list of a parquet file")
        command.add_argument("--json", action="store_true", help="print the answer as JSON")
    return top


def add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `train` subcommand."""
    train = commands.add_parser("train", help="start a training run, or continue one that was stopped")
    train.add_argument("source", type=Path, metavar="SOURCE", help=SOURCE)
    train.add_argument(
        "--keep", type=Path, default=Path("data/training/run"), metavar="DIR", help="folder of the run (%(default)s)"
    )
    train.add_argument("--recipe", choices=list(RECIPES), default="photos", help="set of options (%(default)s)")
    train.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change one option; VALUE is JSON"
    )
    train.add_argument("--seed", type=int, help="seed of the random numbers")
    train.add_argument("--epochs", type=int, help="number of passes over the pictures")
    train.add_argument("--classes", type=Path, metavar="FILE", help="class list of a parquet file, if not beside it")
    train.add_argument("--start", type=Path, metavar="DIR", help="start from the weights of this finished run")
    train.add_argument(
        "--every", type=float, default=60, metavar="SECONDS", help="time between checkpoints (%(default)s)"
    )
    train.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    train.add_argument("--threads", type=int, default=0, help="number of threads (0: one for each core)")
    train.add_argument("--compile", action="store_true", help="compile the picture tower with torch.compile")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
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
