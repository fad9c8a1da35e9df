"""Compare references for a label's own probability: the candidates of docs/decisions/0007-independent.md.

    python -m benchmarks.references --data ../shared/data --split val

On pictures that show two groceries, all 43 kinds are labels. For each reference subtracted from a label's cosine: the
area under the ROC curve, and how often both kinds are found at a false positive rate of one in twenty for the other
labels. Then, on the photographs themselves, the accuracy of "none of these": ten labels with or without the kind shown.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.components import Model
from app.evaluation.confidence import auroc
from app.model.engines import Floats
from benchmarks.accuracy import read
from benchmarks.offline import encode_pictures, open_offline
from benchmarks.pairs import compose

LABEL = "a photo of {}"
NEGATIONS = ("not a photo of {}", "a photo without {}", "no {}")


def leads(model: Model, background: Floats, pictures: Floats, kinds: Sequence[str]) -> dict[str, Floats]:
    """Return by reference the margin of each label's cosine above it: (N, K)."""

    def cosines(template: str) -> Floats:
        return pictures @ model.encoder.prompts([template.format(kind) for kind in kinds]).T

    label, none = cosines(LABEL), pictures @ background.T  # (N, K), (N, B)
    middle = background.mean(axis=0) / np.linalg.norm(background.mean(axis=0))
    return {
        "one cosine for all": label,
        **{f'"{negation}"': label - cosines(negation) for negation in NEGATIONS},
        "the best background prompt": label - none.max(axis=1, keepdims=True),
        "the mean background prompt": label - (pictures @ middle)[:, None],
        "the mean of the other labels": label - label.mean(axis=1, keepdims=True),
    }


def two_items(leads: dict[str, Floats], shown: npt.NDArray[np.bool_]) -> None:
    """Print how well shown labels (N, K) are separated from the others."""
    for name, lead in leads.items():
        threshold = np.quantile(lead[~shown], 0.95)
        both = (lead > threshold)[shown].reshape(len(shown), 2).all(axis=1)
        print(f"{name:<32}{auroc(lead[shown], lead[~shown]):>8.3f}{100 * both.mean():>8.1f}%")


def none_of_ten(leads: dict[str, Floats], shown: Sequence[int]) -> None:
    """Print how well ten labels with the right one among them are separated from ten without it."""
    rng = random.Random(0)  # noqa: S311 - no secrets are drawn
    count = len(next(iter(leads.values()))[0])
    others = [rng.sample([place for place in range(count) if place != right], 10) for right in shown]
    for name, lead in leads.items():
        rows = list(zip(lead, shown, others, strict=True))
        present = np.array([max(row[right], row[rest[1:]].max()) for row, right, rest in rows])
        absent = np.array([row[rest].max() for row, _, rest in rows])
        print(f"{name:<32}{auroc(present, absent):>8.3f}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with grocery/val.parquet")
    parser.add_argument("--split", default="val", help="val, to choose; test_sample, to report")
    parser.add_argument("--model", default="larder-small", help="the bundle")
    parser.add_argument("--pairs", type=int, default=600, help="how many pictures a layout (600)")
    options = parser.parse_args()
    model, background = open_offline(options.model)
    pictures, _, kinds = read(options.data, options.split)
    for layout in ("side by side", "one above the other"):
        pairs = compose(pictures, options.pairs, above=layout != "side by side")
        shown = np.array([[kind in pair.kinds for kind in kinds] for pair in pairs])
        vectors = encode_pictures(model, [pair.data for pair in pairs])
        print(f"\n{f'two groceries, {layout}':<34}{'AUROC':>6}{'both':>9}")
        two_items(leads(model, background, vectors, kinds), shown)
    vectors = encode_pictures(model, [picture.data for picture in pictures])
    print(f"\n{'none of ten labels':<34}{'AUROC':>6}")
    none_of_ten(leads(model, background, vectors, kinds), [kinds.index(picture.coarse) for picture in pictures])


if __name__ == "__main__":
    main()
