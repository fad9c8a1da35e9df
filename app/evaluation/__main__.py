"""The commands: `python -m app.evaluation compare`, `baseline`, `calibrate`, `confidence`, `likeness` and others."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from app.errors import LarderError
from app.evaluation.options import Options
from app.optional import need

DATA = Path("data")  # where compiled models are kept


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m app.evaluation", description="Measure models on labelled pictures.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_compare(commands)
    add_baseline(commands)
    add_confidence(commands)
    add_things(commands)
    add_likeness(commands)
    add_several(commands)
    add_unseen(commands)
    return top


def add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `compare`."""
    compare = commands.add_parser("compare", help="every contestant on the same test pictures: report and plots")
    compare.add_argument("--model", default="larder-small", metavar="BUNDLE", help="name or folder (%(default)s)")
    add_data(compare)
    compare.add_argument("--cnn", type=Path, metavar="FILE", help="the CNN's predictions, as `baseline` made them")
    compare.add_argument("--out", type=Path, required=True, metavar="PLACE", help="PLACE.md, .json and PLACE-*.png")
    compare.add_argument("--title", default="Comparison", help="of the report")
    add_prompts(compare)


def add_prompts(command: argparse.ArgumentParser) -> None:
    """Prompts as the service has them, and pictures of other things."""
    for name in ("templates", "background"):
        file = Path(f"labels/{name}.txt")
        command.add_argument(f"--{name}", type=Path, default=file, metavar="FILE", help="(%(default)s)")
    command.add_argument(
        "--others", type=Path, nargs="+", default=[], metavar="FILE", help="pictures that show none of the labels"
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def add_confidence(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands `calibrate` and `confidence`."""
    for name, about in (
        ("calibrate", "fit temperature and known margin, and write both into the bundle"),
        ("confidence", "measure them on other pictures, and write nothing"),
    ):
        command = commands.add_parser(name, help=about)
        command.add_argument("bundle", metavar="BUNDLE", help="a bundle's name or folder")
        command.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help="labelled pictures")
        command.add_argument(
            "--classes",
            type=Path,
            metavar="FILE",
            help="the classes in the order of their numbers: a label file or CSV",
        )
        add_prompts(command)
        if name == "calibrate":
            for value in ("temperature", "known-margin", "label-cosine"):
                about = "instead of the fitted one, where it was chosen on other pictures"
                command.add_argument(f"--{value}", type=float, metavar="X", help=about)


def add_likeness(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `likeness`."""
    likeness = commands.add_parser("likeness", help="how pictures are compared with examples: written into the bundle")
    likeness.add_argument("bundle", metavar="BUNDLE", help="a bundle's name or folder")
    likeness.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="FILE", help="parquet files, or folders of classes"
    )
    likeness.add_argument("--classes", type=Path, metavar="FILE", help="the classes: a label file or CSV")
    templates = Path("labels/templates.txt")
    likeness.add_argument("--templates", type=Path, default=templates, metavar="FILE", help="(%(default)s)")
    add_blend(likeness)


def add_blend(command: argparse.ArgumentParser) -> None:
    """How examples are weighed against texts."""
    command.add_argument("--margin", type=float, default=0.14, metavar="X", help="for taught labels (%(default)s)")
    command.add_argument("--scale", type=float, default=1.0, metavar="X", help="of what examples say (%(default)s)")


def add_several(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `several`."""
    several = commands.add_parser("several", help="frames of one thing, and shelves of several things")
    several.add_argument("bundle", metavar="BUNDLE", help="a bundle's name or folder")
    several.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE", help="parquet files")
    several.add_argument("--classes", type=Path, required=True, metavar="FILE", help="the classes")
    several.add_argument("--labels", type=Path, default=Path("labels/pantry.txt"), metavar="FILE", help="(%(default)s)")
    several.add_argument("--frames", type=int, default=5, metavar="N", help="of one class together (%(default)s)")
    several.add_argument("--shelves", type=int, default=60, metavar="N", help="composed and searched (%(default)s)")
    several.add_argument("--threshold", type=float, default=0.8, metavar="X", help="of confident answers (%(default)s)")
    for name in ("templates", "background"):
        file = Path(f"labels/{name}.txt")
        several.add_argument(f"--{name}", type=Path, default=file, metavar="FILE", help="(%(default)s)")
    several.add_argument("--json", action="store_true", help="print JSON")


def add_things(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `things`."""
    things = commands.add_parser("things", help="photographs of everyday things: their names, and whether known")
    things.add_argument("bundle", metavar="BUNDLE", help="a bundle's name or folder")
    things.add_argument("--data", type=Path, required=True, metavar="FILE", help="parquet: image, synset, name")
    things.add_argument("--half", choices=["first", "second"], help="of every two pictures; without it, all")
    things.add_argument("--classes", type=Path, default=Path("labels/pantry.txt"), metavar="FILE", help="(%(default)s)")
    things.add_argument(
        "--wordnet", type=Path, default=Path("/usr/share/wordnet"), metavar="FOLDER", help="(%(default)s)"
    )
    for name in ("templates", "background"):
        file = Path(f"labels/{name}.txt")
        things.add_argument(f"--{name}", type=Path, default=file, metavar="FILE", help="(%(default)s)")
    things.add_argument("--json", action="store_true", help="print JSON")


def add_unseen(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `unseen`."""
    unseen = commands.add_parser("unseen", help="teach classes that were left out of the training: tunes a tower each")
    unseen.add_argument("data", type=Path, metavar="FOLDER", help="has grocery/ and cifar10/ in it")
    unseen.add_argument("--keep", type=Path, default=Path("data/unseen"), metavar="DIR", help="the runs (%(default)s)")
    unseen.add_argument("--labels", type=Path, default=Path("labels"), metavar="FOLDER", help="the label files")
    unseen.add_argument("--splits", type=int, default=5, metavar="N", help="(%(default)s)")
    unseen.add_argument("--leave", type=int, default=20, metavar="N", help="classes left out (%(default)s)")
    unseen.add_argument("--steps", type=int, default=300, metavar="N", help="of each training (%(default)s)")
    unseen.add_argument("--test", choices=["val", "test_sample"], default="val", help="the pictures (%(default)s)")
    unseen.add_argument("--out", type=Path, metavar="FILE", help="where the figures go, as JSON")
    unseen.add_argument("--json", action="store_true", help="print JSON")


def add_data(command: argparse.ArgumentParser) -> None:
    """The labelled pictures of a comparison."""
    about = "parquet files, or folders with one folder a class"
    command.add_argument("--train", type=Path, nargs="+", required=True, metavar="FILE", help=f"to learn from: {about}")
    command.add_argument(
        "--val",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="to decide by (a random tenth of --train, 2,000 at most)",
    )
    command.add_argument("--test", type=Path, nargs="+", required=True, metavar="FILE", help="to report on")
    command.add_argument(
        "--classes", type=Path, metavar="FILE", help="the classes in the order of their numbers: a label file or CSV"
    )


def add_baseline(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command `baseline`."""
    baseline = commands.add_parser("baseline", help="train the CNN and keep its predictions")
    add_data(baseline)
    baseline.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the predictions go (.npz)")
    baseline.add_argument("--weights", type=Path, metavar="FILE", help="where the weights go, when they are wanted")
    baseline.add_argument("--threads", type=int, default=0, metavar="N", help="processor threads (0: all)")
    baseline.add_argument("--pretrained", action="store_true", help="start from ImageNet's weights, downloaded by timm")
    baseline.add_argument(
        "--tuned",
        type=Path,
        metavar="FILE",
        help="tune EfficientNet-Lite0 instead, as larder-small is; FILE: a parquet file of pictures for backgrounds",
    )
    baseline.add_argument(
        "--keep", type=Path, default=DATA / "training/cnn", metavar="DIR", help="of --tuned (%(default)s)"
    )
    for field in fields(Options):
        if field.name != "pretrained":
            name = "--" + field.name.replace("_", "-")
            kind = type(field.default)
            baseline.add_argument(name, type=kind, default=field.default, metavar="X", help="(%(default)s)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(words)
    options.typed = command_line(words)
    run = {
        "compare": compare,
        "baseline": baseline,
        "calibrate": confidence,
        "confidence": confidence,
        "things": things,
        "likeness": likeness,
        "several": several,
        "unseen": unseen,
    }
    try:
        need("evaluation", ("pyarrow",), "requirements-model.txt")
        return run[options.command](options)
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2


def command_line(words: Sequence[str]) -> str:
    """The command as typed; of files outside of this folder the last two parts are kept."""
    shown = [f"DATA/{'/'.join(Path(word).parts[-2:])}" if word.startswith(("/", "..")) else word for word in words]
    return "python -m app.evaluation " + shlex.join(shown)


def compare(options: argparse.Namespace) -> int:
    """Compare, and write the report."""
    from app.evaluation.compare import compare
    from app.evaluation.data import read_files, read_splits, shown
    from app.evaluation.model import open_measured
    from app.evaluation.predictions import Predictions
    from app.evaluation.report import as_json, figures, write_report
    from app.recognition.vocabulary import read_prompts

    splits = read_splits(options.train, options.val, options.test, options.classes)
    kept = Predictions.load(options.cnn, splits.digest()) if options.cnn else None
    others = {shown(path): read_files(path) for path in options.others}
    model = open_measured(options.model, DATA)
    prompts = read_prompts(options.templates), read_prompts(options.background)
    found, table = compare(options.title, options.typed, model, splits, prompts, others, kept)
    paths = write_report(found, table, options.out)
    print(as_json(found) if options.json else figures(found) + "\nwritten: " + ", ".join(map(str, paths)))
    return 0


def things(options: argparse.Namespace) -> int:
    """Measure photographs of everyday things."""
    from app.evaluation.things import run

    return run(options, DATA)


def confidence(options: argparse.Namespace) -> int:
    """Fit and write, or measure alone."""
    from app.evaluation.calibrate import run

    return run(options, DATA)


def likeness(options: argparse.Namespace) -> int:
    """Fit the likeness of pictures."""
    from app.evaluation.likeness import run

    return run(options, DATA)


def several(options: argparse.Namespace) -> int:
    """Measure frames and shelves."""
    from app.evaluation.several import run

    return run(options, DATA)


def unseen(options: argparse.Namespace) -> int:
    """Leave classes out, train, teach them, measure."""
    from app.evaluation.unseen import run

    return run(options)


def baseline(options: argparse.Namespace) -> int:
    """Train the CNN."""
    import torch

    from app.evaluation.baseline import train_baseline
    from app.evaluation.data import read_splits

    if options.threads:
        torch.set_num_threads(options.threads)
    splits = read_splits(options.train, options.val, options.test, options.classes)
    if options.tuned:
        from app.evaluation.tuned import tune_baseline

        predictions, weights = tune_baseline(splits, options.tuned, options.keep, options.typed, options.seed)
    else:
        chosen = Options(**{field.name: getattr(options, field.name) for field in fields(Options)})
        predictions, weights = train_baseline(chosen, splits, options.typed)
    predictions.save(options.out)
    if options.weights:
        options.weights.parent.mkdir(parents=True, exist_ok=True)
        torch.save(weights, options.weights)
    for name, part, logits in (("val", splits.val, predictions.val), ("test", splits.test, predictions.test)):
        print(f"{name}: top-1 {(logits.argmax(axis=1) == part.labels).mean():.1%} of {len(part.labels)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
