"""Measure over HTTP how often `POST /classify` finds both things in a picture of two.

    python -m benchmarks.two_items --data ../shared/data

Photographs of groceries of different kinds are put side by side, or one above the other. The labels are the two kinds
shown and eight others, or all 43 kinds; a label is found if its probability exceeds one half.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from benchmarks.accuracy import read
from benchmarks.pairs import Pair, compose
from harness.server import Server

THRESHOLD = 0.5


@dataclass(frozen=True)
class Result:
    """Shares of the pictures and of the labels that are not shown, in per cent."""

    layout: str
    labels: int
    mode: str
    pictures: int
    both: float
    one: float
    none: float
    wrong: float


def measure(server: Server, pairs: Sequence[Pair], kinds: Sequence[str], layout: str, count: int, mode: str) -> Result:
    """Classify each picture among `count` labels."""

    def ask(pair: Pair) -> list[str]:
        others = [kind for kind in kinds if kind not in pair.kinds]
        labels = [*pair.kinds, *random.Random(pair.kinds[0]).sample(others, count - 2)]  # noqa: S311 - no secrets
        body = {"image_data": pair.data, "labels": labels, "template": "a photo of {}", "mode": mode}
        answer = server.client.post("/classify", json=body).raise_for_status().json()
        return [label for label, probability in answer["result"].items() if probability > THRESHOLD]

    with ThreadPoolExecutor(4) as pool:
        found = list(tqdm(pool.map(ask, pairs), total=len(pairs), desc=f"{layout}, {mode}", disable=None))
    right = [len(set(labels) & set(pair.kinds)) for labels, pair in zip(found, pairs, strict=True)]
    shares = Counter(right)
    wrong = sum(map(len, found)) - sum(right)
    both, one, none = (round(100 * shares[number] / len(pairs), 1) for number in (2, 1, 0))
    of_wrong = round(100 * wrong / (len(pairs) * (count - 2)), 1)
    return Result(layout, count, mode, len(pairs), both, one, none, of_wrong)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with grocery/test_sample.parquet")
    parser.add_argument("--split", default="test_sample", help="test_sample or val")
    parser.add_argument("--model", default="larder-small", help="the bundle to serve")
    parser.add_argument("--pairs", type=int, default=600, help="how many pictures a layout (600)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    pictures, _, kinds = read(options.data, options.split)
    results = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(pantry="none", data=folder, model=options.model, log_level="warning") as server,
    ):
        server.ready()
        for layout in ("side by side", "one above the other"):
            pairs = compose(pictures, options.pairs, above=layout != "side by side")
            results += [
                measure(server, pairs, kinds, layout, count, mode)
                for count in (10, len(kinds))
                for mode in ("exclusive", "independent")
            ]
    if options.json:
        print(json.dumps([asdict(result) for result in results]))
        return
    print(f"{'pictures':<22}{'labels':>7}  {'mode':<12}{'both':>7}{'one':>7}{'none':>7}  of the other labels")
    for each in results:
        shares = "".join(f"{share:>6}%" for share in (each.both, each.one, each.none, each.wrong))
        print(f"{each.layout:<22}{each.labels:>7}  {each.mode:<12}{shares}")


if __name__ == "__main__":
    main()
