"""Text search over the 10,000 test pictures of CIFAR-10.

    python -m examples.cifar_search --data DATA/cifar10/test.parquet --model larder-small

indexes the pictures the first time, then answers each query with the best of them: a table of how many show the class
that was searched for, and a contact sheet. A model finds what it was trained to distinguish: larder-small, which is for
groceries, saw eight of these classes as background, and neither frogs nor trucks; of those it finds none.
"""

import argparse
import io
import os
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from app.__main__ import main as larder
from app.components import open_contents, open_model
from app.contents import Hit
from app.settings import read_settings

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
K = 10
TILE = 64  # pixels of a picture on the contact sheet


def class_of(hit: Hit) -> str:
    """Return the class in a picture's path: `test/ship/0001.jpg`."""
    return Path(hit.metadata["path"]).parent.name


def write_sheet(source: Path, answers: list[list[Hit]], path: Path) -> None:
    """Write a picture with a row of hits for each query."""
    rows = pq.read_table(source, columns=["image"])["image"]
    sheet = Image.new("RGB", (K * TILE, len(answers) * TILE), "white")
    for row, hits in enumerate(answers):
        for column, hit in enumerate(hits):
            data = rows[int(hit.id.rpartition(":")[2])]["bytes"].as_py()
            sheet.paste(Image.open(io.BytesIO(data)).resize((TILE, TILE)), (column * TILE, row * TILE))
    sheet.save(path)


def main() -> int:
    """Index once, then search; returns an exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", nargs="*", metavar="QUERY", help="texts; without any, the ten classes")
    parser.add_argument("--data", type=Path, required=True, metavar="PARQUET", help="CIFAR-10's test pictures")
    parser.add_argument("--model", default="larder-small", help="the bundle to search with")
    parser.add_argument("--sheet", type=Path, default=Path("data/cifar-search.png"), help="the contact sheet")
    told = parser.parse_args()
    # a collection for each model, separate from the service's own
    os.environ |= {"LARDER_MODEL": told.model, "LARDER_DATA": f"data/cifar-search/{Path(told.model).name}"}
    if larder(["bulk", "index", str(told.data)]) == 2:
        return 2
    queries = told.queries or [f"a photo of a {name}." for name in CLASSES]
    settings = read_settings()
    model = open_model(settings)
    with closing(open_contents(settings, model)) as store:
        begun = time.perf_counter()
        answers = [store.search(vector, K) for vector in model.encoder.texts(queries)]
        took = 1000 * (time.perf_counter() - begun) / len(queries)
        print(f"{store.count()} pictures, {model.name}, {took:.1f} ms a query")
    print(f"{'query':<32}{'best cosine':>12}   classes of the best {K}")
    for query, hits in zip(queries, answers, strict=True):
        found = ", ".join(f"{count} {name}" for name, count in Counter(map(class_of, hits)).most_common())
        print(f"{query:<32}{hits[0].score:>12.3f}   {found}")
    if not told.queries:
        right = sum(class_of(hit) == name for name, hits in zip(CLASSES, answers, strict=True) for hit in hits)
        print(f"{right} of {len(CLASSES) * K} show the class that was asked for; chance would give {K}")
    told.sheet.parent.mkdir(parents=True, exist_ok=True)
    write_sheet(told.data, answers, told.sheet)
    print(f"the pictures, a row a query: {told.sheet}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
