"""The commands: `python -m app.training.tower train DATA` and `... bundle RUN TEXTS BUNDLE`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import LarderError, TrainingError
from app.optional import need

RUN = Path("data/training/tower")


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    about = "Tune the picture tower of larder-small, and make a bundle of it."
    top = argparse.ArgumentParser(prog="python -m app.training.tower", description=about)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    tune = commands.add_parser("train", help="train, or resume a stopped run; then write its features")
    tune.add_argument("data", type=Path, metavar="DATA", help="the folder with grocery/ and cifar10/ in it")
    tune.add_argument("--keep", type=Path, default=RUN, metavar="DIR", help="(%(default)s)")
    tune.add_argument("--seed", type=int, default=0, help="same seed, same weights (%(default)s)")
    tune.add_argument("--every", type=float, default=60, metavar="SECONDS", help="between checkpoints (%(default)s)")
    bundle = commands.add_parser("bundle", help="make a bundle from a run and the output of app.training.words")
    bundle.add_argument("run", type=Path, metavar="RUN", help="the folder of `train`")
    bundle.add_argument("texts", type=Path, metavar="TEXTS", help="the folder that app.training.words wrote")
    bundle.add_argument("bundle", type=Path, metavar="BUNDLE", help="the folder to write, such as models/larder-small")
    bundle.add_argument("--labels", type=Path, default=Path("labels"), metavar="DIR", help="label files (%(default)s)")
    bundle.add_argument("--card", type=Path, metavar="FILE", help="the model card (the one that the bundle has)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    args = parser().parse_args(arguments)
    try:
        need("training", ("torch", "efficientnet_lite_pytorch"), "requirements-model.txt")
        if args.command == "train":
            train(args)
        else:
            from app.training.tower.bundle import write_bundle

            write_bundle(args.run, args.texts, args.labels, args.card or args.bundle / "MODEL_CARD.md", args.bundle)
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2
    return 0


def train(args: argparse.Namespace) -> None:
    """Train and write `features.npz`; raises TrainingError if the folder holds another run."""
    from app.training.tower.features import write_features
    from app.training.tower.options import TowerOptions
    from app.training.tower.pictures import open_source
    from app.training.tower.train import Trainer, run

    options = TowerOptions(seed=args.seed)
    saved = args.keep / "options.json"
    if saved.exists() and TowerOptions.load(saved) != options:
        raise TrainingError(f"{args.keep} holds a run with other options: remove it, or use another folder")
    args.keep.mkdir(parents=True, exist_ok=True)
    options.save(saved)
    run(Trainer(options, open_source(args.data, options)), args.keep, args.every)
    write_features(options.network, args.keep, args.data)


if __name__ == "__main__":
    sys.exit(main())
