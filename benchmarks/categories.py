"""Compare rules for a category's score: the table of docs/decisions/0006-categories.md.

    python -m benchmarks.categories --data ../shared/data --split val

Photographs of groceries are classified into categories with unequal numbers of phrases. For each rule: the accuracy of
the best category, its calibration error and cross-entropy; then, if the first phrase of one category is repeated five
times, as the same vector or as near copies, the largest change of a score and how many change by over 0.02.
"""

import argparse
import csv
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.components import Model
from app.model.engines import Floats
from app.recognition.calibration import accuracy, calibration_error
from app.recognition.zero_shot import softmax
from benchmarks.accuracy import FINE, read
from benchmarks.offline import encode_pictures, open_offline

Doubles = npt.NDArray[np.float64]

# logits (N, phrases of a category) to the category's (N,)
RULES: dict[str, Callable[[Doubles], Doubles]] = {
    "sum": lambda logits: np.logaddexp.reduce(logits, axis=1),
    "log-mean-exp": lambda logits: np.logaddexp.reduce(logits, axis=1) - np.log(logits.shape[1]),
    "mean": lambda logits: logits.mean(axis=1),
    "max": lambda logits: logits.max(axis=1),
}
PARAPHRASES = (
    *("{}", "a photo of {}.", "photo of {}", "a picture of {}", "an image of {}"),
    *("a close-up of {}", "{} in a shop", "{} on a table", "some {}"),
)
COPIES = {
    "the same": ("{}",) * 4,
    "other marks": ("{}.", "{}!", "{},", "the {}"),
    "other words": ("a photo of {}", "photo of {}", "a picture of {}", "an image of {}"),
}


@dataclass(frozen=True)
class Task:
    """Categories with their phrases, and the index (N,) of each picture's category."""

    name: str
    phrases: list[list[str]]
    right: npt.NDArray[np.int64]


def tasks(folder: Path, names: Sequence[str], shown: npt.NDArray[np.int64]) -> list[Task]:
    """Return the 43 kinds by their groceries' names and by paraphrases; the three groups by names and by kinds.

    `shown` has each picture's index (N,) among the names.
    """
    with (folder / "grocery/classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    kinds = [row["coarse_name"].replace("-", " ").lower() for row in rows]
    groups = [row["group"] for row in rows]
    rng = random.Random(0)  # noqa: S311 - no secrets are drawn

    def task(name: str, keys: Sequence[str], phrases: Sequence[str]) -> Task:
        pairs = dict.fromkeys(zip(keys, phrases, strict=True))
        categories = list(dict.fromkeys(keys))
        members = [[phrase for key, phrase in pairs if key == category] for category in categories]
        return Task(name, members, np.array([categories.index(key) for key in keys])[shown])

    by_kinds = task("kinds by names", kinds, kinds)
    said = [[each.format(*kind) for each in rng.sample(PARAPHRASES, rng.randint(1, 9))] for kind in by_kinds.phrases]
    return [
        task("kinds by names", kinds, names),
        Task("kinds by paraphrases", said, by_kinds.right),
        task("groups by names", groups, names),
        task("groups by kinds", groups, kinds),
    ]


def measure(model: Model, pictures: Floats, task: Task) -> None:
    """Print the lines of one task."""
    vectors = [model.encoder.prompts(phrases) for phrases in task.phrases]
    sizes = [len(phrases) for phrases in task.phrases]
    print(f"\n{task.name}: {len(sizes)} categories of {min(sizes)} to {max(sizes)} phrases, {len(pictures)} pictures")
    print(f"{'':<14}{'accuracy':>9}{'ECE':>7}{'entropy':>9}" + "".join(f"{name:>24}" for name in COPIES))
    for name, rule in RULES.items():
        logits = _logits(rule, model, pictures, vectors)
        scores = softmax(logits)
        entropy = -np.log(scores[np.arange(len(scores)), task.right]).mean()
        error = calibration_error(scores, task.right)
        line = f"{name:<14}{100 * accuracy(logits, task.right):>8.1f}%{error:>7.3f}{entropy:>9.3f}"
        for copies in COPIES.values():
            moves = _moves(rule, model, pictures, task, vectors, copies)
            line += f"{moves.max():>14.3f} ({100 * (moves > 0.02).mean():4.1f} %)"
        print(line)


def _logits(rule: Callable[[Doubles], Doubles], model: Model, pictures: Floats, vectors: Sequence[Floats]) -> Floats:
    logits = [rule(model.config.logit_scale * (pictures @ each.T).astype(np.float64)) for each in vectors]
    return np.stack(logits, axis=1).astype(np.float32)


def _moves(
    rule: Callable[[Doubles], Doubles],
    model: Model,
    pictures: Floats,
    task: Task,
    vectors: Sequence[Floats],
    copies: Sequence[str],
) -> Doubles:
    """Return the largest changes of scores, (categories, N), when each category in turn repeats its first phrase."""
    before = _logits(rule, model, pictures, vectors)
    moves = []
    for place, phrases in enumerate(task.phrases):
        more = np.concatenate([vectors[place], model.encoder.prompts([copy.format(phrases[0]) for copy in copies])])
        after = before.copy()
        after[:, [place]] = _logits(rule, model, pictures, [more])
        moves.append(np.abs(softmax(after) - softmax(before)).max(axis=1))
    return np.array(moves)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with grocery/val.parquet")
    parser.add_argument("--split", default="val", help="val, to choose; test_sample, to report")
    parser.add_argument("--model", default="larder-small", help="the bundle")
    options = parser.parse_args()
    model, _ = open_offline(options.model)
    pictures, every, _ = read(options.data, options.split)
    vectors = encode_pictures(model, [picture.data for picture in pictures])
    shown = np.array([every.index(picture.fine) for picture in pictures])
    for task in tasks(options.data, every[:FINE], shown):
        measure(model, vectors, task)


if __name__ == "__main__":
    main()
