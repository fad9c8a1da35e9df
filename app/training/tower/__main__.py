"""The command: `python -m app.training.tower DATA --keep DIR`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import LarderError, TrainingError
from app.optional import need


def parser() -> argparse.ArgumentParser:
    """The command line."""
    about = "Tune the picture tower of larder-small, or go on with a run that was stopped; then write its features."
    top = argparse.ArgumentParser(prog="python -m app.training.tower", description=about)
    top.add_argument("data", type=Path, metavar="DATA", help="the folder with grocery/ and cifar10/ in it")
    top.add_argument("--keep", type=Path, default=Path("data/training/tower"), metavar="DIR", help="(%(default)s)")
    top.add_argument("--seed", type=int, default=0, help="same seed, same weights (%(default)s)")
    top.add_argument("--every", type=float, default=60, metavar="SECONDS", help="between checkpoints (%(default)s)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write `features.npz`; returns the exit status."""
    told = parser().parse_args(arguments)
    try:
        need("training", ("torch", "efficientnet_lite_pytorch"), "requirements-model.txt")
        from app.training.tower.features import write_features
        from app.training.tower.options import TowerOptions
        from app.training.tower.pictures import open_source
        from app.training.tower.train import Trainer, run

        options = TowerOptions(seed=told.seed)
        saved = told.keep / "options.json"
        if saved.exists() and TowerOptions.load(saved) != options:
            raise TrainingError(f"{told.keep} holds a run with other options: remove it, or take another folder")
        told.keep.mkdir(parents=True, exist_ok=True)
        options.save(saved)
        run(Trainer(options, open_source(told.data, options)), told.keep, told.every)
        write_features(options.network, told.keep, told.data)
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
