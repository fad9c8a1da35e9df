"""Measure the accuracy of `POST /process-image` over HTTP, on groceries it was not trained on.

    python -m benchmarks.accuracy --data ../shared/data

Three label files, with one service each: the 81 fine labels of labels/pantry.txt, the same with goods that no picture
shows, and the coarse names. A picture is right if the first of `top_k_items` is its own label.
"""

import argparse
import base64
import csv
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet
from tqdm import tqdm

from app.recognition.labels import parse_labels
from benchmarks import rows
from harness.server import ROOT, Server

FINE = 81


@dataclass(frozen=True)
class Result:
    """Top-1 and top-5 in per cent, with the numbers of pictures and labels."""

    name: str
    labels: int
    pictures: int
    top_1: float
    top_5: float
    known: float


@dataclass(frozen=True)
class Picture:
    """One test picture, as base64, and the labels it should get."""

    data: str
    fine: str
    coarse: str


def read(folder: Path, split: str) -> tuple[list[Picture], list[str], list[str]]:
    """Read the pictures of a split, all labels of labels/pantry.txt, and the coarse names."""
    every = [label.name for label in parse_labels((ROOT / "labels/pantry.txt").read_text(), longest=200)]
    with (folder / "grocery/classes.csv").open() as file:
        coarse = {int(row["label"]): row["coarse_name"].replace("-", " ").lower() for row in csv.DictReader(file)}
    rows = pyarrow.parquet.read_table(folder / f"grocery/{split}.parquet").to_pylist()
    pictures = [
        Picture(base64.b64encode(row["image"]["bytes"]).decode(), every[row["label"]], coarse[row["label"]])
        for row in rows
    ]
    return pictures, every, list(dict.fromkeys(coarse.values()))


def measure(name: str, labels: list[str], pictures: list[Picture], right: str, model: str) -> Result:
    """Recognise each picture with a service of these labels; `right` names the field of Picture with the answer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labels.txt"
        file.write_text("\n".join(labels))
        with Server(labels=file, pantry="none", data=folder, model=model, log_level="warning") as server:
            server.ready()

            def ask(picture: Picture) -> tuple[bool, bool, bool]:
                answer = server.client.post("/process-image", json={"image_data": picture.data}).json()
                items, wanted = answer["top_k_items"], getattr(picture, right)
                return items[0] == wanted, wanted in items, bool(answer["known"])

            with ThreadPoolExecutor(4) as pool:
                answers = list(tqdm(pool.map(ask, pictures), total=len(pictures), desc=name, disable=None))
    shares = [100 * sum(column) / len(answers) for column in zip(*answers, strict=True)]
    return Result(name, len(labels), len(pictures), *(round(share, 2) for share in shares))


def _row(result: Result, least: float) -> rows.Row:
    what = f"{result.pictures} groceries over HTTP, {result.name}, {result.labels} labels"
    ours, other = f"{result.top_1:.2f} %", f"top five {result.top_5:.2f} %"
    return rows.Row(what, f">= {least:g} %", ours, other, result.top_1 >= least)


def main() -> None:
    """Print the table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with grocery/test_sample.parquet")
    parser.add_argument("--split", default="test_sample", help="test_sample, val or train")
    parser.add_argument("--model", default="larder-small", help="the bundle to serve")
    parser.add_argument("--json", action="store_true", help="print JSON")
    rows.add_option(parser)
    options = parser.parse_args()
    if not (options.data / "grocery").is_dir():
        sys.exit(f"no pictures under {options.data}: recognition was not measured; give their folder with DATA=")
    pictures, every, coarse = read(options.data, options.split)
    results = [
        measure("fine", every[:FINE], pictures, "fine", options.model),
        measure("fine, with the goods that no picture shows", every, pictures, "fine", options.model),
        measure("coarse", coarse, pictures, "coarse", options.model),
    ]
    rows.hand_in(options.rows, [_row(results[0], 80), _row(results[2], 87)])
    if options.json:
        print(json.dumps([asdict(result) for result in results]))
        return
    print(f"{'labels':<44}{'number':>8}{'pictures':>10}{'top-1':>9}{'top-5':>9}{'known':>9}")
    for each in results:
        print(f"{each.name:<44}{each.labels:>8}{each.pictures:>10}{each.top_1:>8}%{each.top_5:>8}%{each.known:>8}%")


if __name__ == "__main__":
    main()
