"""Command line of the evaluation: `python -m app.evaluation compare`, `baseline`, `calibrate` and others."""

import argparse
import importlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.errors import LarderError
from app.optional import need

DATA = Path("data")  # cache of compiled models
LABELS = Path("labels")
PICTURES = "parquet files (image, label), or folders with a subfolder for each class"
MODULES = {"baseline": "cnn", "confidence": "calibrate"}  # of commands whose module has another name
CNN_OPTIONS = (
    ("architecture", "resnet18", "name of the network in timm"),
    ("size", 128, "picture size at evaluation, in pixels"),
    ("train-size", 96, "picture size in training, in pixels"),
    ("epochs", 30, "passes over the training pictures"),
    ("crop", 0.35, "smallest share of a picture that a random crop keeps"),
    ("batch", 64, "pictures per step"),
    ("learning-rate", 2e-3, "highest learning rate"),
    ("weight-decay", 0.05, "of AdamW"),
    ("smoothing", 0.1, "label smoothing"),
    ("seed", 0, "seed of the random numbers"),
)


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    top = argparse.ArgumentParser(prog="python -m app.evaluation", description="Measure models on labelled pictures.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, about: str, bundle: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about)
        if bundle:
            command.add_argument("bundle", metavar="BUNDLE", help="name or folder of a model bundle")
        return command

    add_compare(add("compare", "compare CLIP and a CNN on the same test pictures: tables and plots", bundle=False))
    add_baseline(add("baseline", "train the CNN of `compare`, and save its predictions", bundle=False))
    add_confidence(add("confidence", "measure the calibration of a bundle, and `known`; writes nothing"))
    calibrate = add("calibrate", "fit the temperature and the margin of `known`, and write them into the bundle")
    add_confidence(calibrate)
    for value in ("known-margin", "label-cosine"):
        calibrate.add_argument(f"--{value}", type=float, metavar="X", help=f"write this {value} instead of fitting one")
    add_things(add("things", "measure names and `known` on photographs of everyday things"))
    add_strangers(add("strangers", "measure false positives of taught items on photographs of other things"))
    add_likeness(add("likeness", "fit how pictures are compared with examples, and write it into the bundle"))
    add_several(add("several", "measure several frames of one thing, and shelves of several things"))
    add_review(add("review", "measure the order of the review queue: accuracy by the number of labels given"))
    add_unseen(add("unseen", "measure classes that were left out of the training and taught later", bundle=False))
    return top


def add_files(command: argparse.ArgumentParser, **defaults: Path) -> None:
    """Add file options with defaults, which the help shows."""
    for name, default in defaults.items():
        command.add_argument(f"--{name}", type=Path, default=default, metavar="FILE", help=f"{name} file (%(default)s)")


def add_prompts(command: argparse.ArgumentParser) -> None:
    """Add the templates and the background of the service, and the output format."""
    add_files(command, templates=LABELS / "templates.txt", background=LABELS / "background.txt")
    command.add_argument("--json", action="store_true", help="print JSON")


def add_classes(command: argparse.ArgumentParser, required: bool = False) -> None:
    """Add the class list."""
    about = "class list in the order of the numbers: a label file, or CSV with label and name"
    command.add_argument("--classes", type=Path, required=required, metavar="FILE", help=about)


def add_others(command: argparse.ArgumentParser) -> None:
    """Add pictures for `known`."""
    about = "pictures that show none of the labels"
    command.add_argument("--others", type=Path, nargs="+", default=[], metavar="FILE", help=about)


def add_splits(command: argparse.ArgumentParser) -> None:
    """Add the labelled splits of a comparison."""
    for name, needed, about in (
        ("train", True, f"training pictures: {PICTURES}"),
        ("val", False, "pictures for choices (default: a tenth of --train, at most 2,000)"),
        ("test", True, "test pictures"),
    ):
        command.add_argument(f"--{name}", type=Path, nargs="+", required=needed, default=[], metavar="FILE", help=about)
    add_classes(command)


def add_compare(command: argparse.ArgumentParser) -> None:
    """Add the options of `compare`."""
    command.add_argument("--model", default="larder-small", metavar="BUNDLE", help="name or folder (%(default)s)")
    add_splits(command)
    command.add_argument("--cnn", type=Path, metavar="FILE", help="predictions that `baseline` saved")
    command.add_argument(
        "--out", type=Path, required=True, metavar="PLACE", help="write PLACE.md, .json and PLACE-*.png"
    )
    command.add_argument("--title", default="Comparison", help="title of the report")
    add_others(command)
    add_prompts(command)


def add_baseline(command: argparse.ArgumentParser) -> None:
    """Add the options of `baseline`."""
    add_splits(command)
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="write the predictions here (.npz)")
    command.add_argument("--weights", type=Path, metavar="FILE", help="write the weights here")
    command.add_argument("--threads", type=int, default=0, metavar="N", help="number of threads (0: one for each core)")
    command.add_argument("--pretrained", action="store_true", help="start from ImageNet's weights, downloaded by timm")
    tuned = "tune EfficientNet-Lite0 instead, on backgrounds from this parquet file of pictures"
    command.add_argument("--tuned", type=Path, metavar="FILE", help=tuned)
    keep = DATA / "training/cnn"
    command.add_argument("--keep", type=Path, default=keep, metavar="DIR", help="folder of that run (%(default)s)")
    for name, default, about in CNN_OPTIONS:
        kind: Any = type(default)
        command.add_argument(f"--{name}", type=kind, default=default, metavar="X", help=f"{about} (%(default)s)")


def add_confidence(command: argparse.ArgumentParser) -> None:
    """Add the options of `calibrate` and `confidence`."""
    command.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help=PICTURES)
    add_classes(command)
    add_others(command)
    add_prompts(command)


def add_likeness(command: argparse.ArgumentParser) -> None:
    """Add the options of `likeness`."""
    command.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help=PICTURES)
    add_classes(command)
    add_files(command, templates=LABELS / "templates.txt")
    command.add_argument("--margin", type=float, default=0.14, metavar="X", help="of taught labels (%(default)s)")
    command.add_argument("--scale", type=float, default=1.0, metavar="X", help="weight of examples (%(default)s)")


def add_several(command: argparse.ArgumentParser) -> None:
    """Add the options of `several`."""
    command.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help=PICTURES)
    add_classes(command, required=True)
    add_files(command, labels=LABELS / "pantry.txt")
    command.add_argument("--frames", type=int, default=5, metavar="N", help="pictures of one class (%(default)s)")
    command.add_argument("--shelves", type=int, default=60, metavar="N", help="shelves to compose (%(default)s)")
    command.add_argument("--threshold", type=float, default=0.8, metavar="X", help="of confident answers (%(default)s)")
    add_prompts(command)


def add_review(command: argparse.ArgumentParser) -> None:
    """Add the options of `review`."""
    command.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help=f"to label: {PICTURES}")
    about = "pictures to measure with (default: the unlabelled half of --data)"
    command.add_argument("--test", type=Path, nargs="+", default=[], metavar="FILE", help=about)
    add_classes(command, required=True)
    add_files(command, labels=LABELS / "pantry.txt")
    command.add_argument("--new", type=float, default=0.5, metavar="X", help="share of unknown classes (%(default)s)")
    command.add_argument("--splits", type=int, default=8, metavar="N", help="number of random splits (%(default)s)")
    command.add_argument("--most", type=int, default=60, metavar="N", help="labels to give (%(default)s)")
    add_prompts(command)


def add_things(command: argparse.ArgumentParser) -> None:
    """Add the options of `things`."""
    command.add_argument("--data", type=Path, required=True, metavar="FILE", help="parquet file: image, synset, name")
    command.add_argument("--half", choices=["first", "second"], help="half of the pictures (default: all)")
    add_files(command, classes=LABELS / "pantry.txt", wordnet=Path("/usr/share/wordnet"))
    add_prompts(command)


def add_strangers(command: argparse.ArgumentParser) -> None:
    """Add the options of `strangers`: those of `things` and the number of draws."""
    add_things(command)
    command.add_argument("--draws", type=int, default=100, metavar="N", help="of four items each (%(default)s)")


def add_unseen(command: argparse.ArgumentParser) -> None:
    """Add the options of `unseen`."""
    command.add_argument("data", type=Path, metavar="FOLDER", help="folder with grocery/ and cifar10/")
    keep = DATA / "unseen"
    command.add_argument("--keep", type=Path, default=keep, metavar="DIR", help="folder of the runs (%(default)s)")
    command.add_argument(
        "--labels", type=Path, default=LABELS, metavar="DIR", help="folder of label files (%(default)s)"
    )
    command.add_argument("--splits", type=int, default=5, metavar="N", help="random splits (%(default)s)")
    command.add_argument("--leave", type=int, default=20, metavar="N", help="classes left out of each (%(default)s)")
    command.add_argument("--steps", type=int, default=300, metavar="N", help="training steps of each (%(default)s)")
    command.add_argument("--test", choices=["val", "test_sample"], default="val", help="pictures (%(default)s)")
    command.add_argument("--out", type=Path, metavar="FILE", help="write the figures here, as JSON")
    command.add_argument("--json", action="store_true", help="print JSON")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(words)
    options.typed = command_line(words)
    try:
        need("evaluation", ("pyarrow",), "requirements-model.txt")
        module = importlib.import_module(f"app.evaluation.{MODULES.get(options.command, options.command)}")
        status: int = module.run(options, DATA)
        return status
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2


def command_line(words: Sequence[str]) -> str:
    """Return the command as typed; of files outside of this folder keep the last two parts."""
    shown = [f"DATA/{'/'.join(Path(word).parts[-2:])}" if word.startswith(("/", "..")) else word for word in words]
    return "python -m app.evaluation " + shlex.join(shown)


if __name__ == "__main__":
    sys.exit(main())
