"""Contents: durable adds from 8 clients, and searches held against comparing with every vector.

    python -m benchmarks.contents --counts 100000 --data ../shared/data
    python -m benchmarks.contents --counts 1000000

Vectors drawn in the likeness of CLIP's; with --data also real ones, of pictures and of texts, by the model.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from app.components import Model, open_model
from app.contents import Content, VectorModel, Where
from app.contents.conditions import Condition
from app.contents.database import Database, Put, stored
from app.contents.local import LocalContents
from app.contents.segment import Segment, flat
from app.model.engines import Floats
from app.recognition.labels import parse_labels
from app.settings import Settings
from benchmarks import rows
from harness.server import ROOT
from harness.vectors import drawn_chunks, real_vectors

QUERIES = 200
CLIENTS = 8
WAYS = ("a photo of {}.", "{}", "a close-up of {} on a shelf", "someone holding {}")


def milliseconds(work: Callable[[Floats], object], queries: Floats) -> float:
    """The median time of one call, over all queries (N, D)."""
    times = []
    for query in queries:
        begun = time.perf_counter()
        work(query)
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def resident() -> float:
    """The memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def durable_adds(folder: Path, count: int) -> rows.Row:
    """How many contents a second are on the disk, beside what the disk takes for one write."""
    vectors, part = np.concatenate(list(drawn_chunks(count))), count // CLIENTS
    with (folder / "probe").open("wb") as file:

        def write(_: Floats) -> None:
            file.write(bytes(8192))
            file.flush()
            os.fdatasync(file)

        waits = milliseconds(write, vectors[:QUERIES])

    with closing(LocalContents(folder / "adds.sqlite", VectorModel("bench", "0", 512), threads=2)) as store:

        def client(number: int) -> None:
            for row in range(number * part, (number + 1) * part):
                metadata = {"row": row, "client": number}
                store.put(Content(str(row), "text", f"text number {row}", metadata=metadata), vectors[row])

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = CLIENTS * part / (time.perf_counter() - begun)
    print(f"durable adds from {CLIENTS} clients: {rate:,.0f} a second; one write to the disk takes {waits:.2f} ms")
    sides = (f"{rate:,.0f} a second", f"a write to the disk: {waits:.2f} ms")
    return rows.Row("durable adds of contents, 8 clients", ">= 500 a second", *sides, rate >= 500)


def fill(path: Path, model: VectorModel, chunks: Iterable[Floats], total: int) -> None:
    """A file of contents; a thousand in each transaction. One in a hundred is rare."""
    with closing(Database(path, model)) as database, tqdm(total=total, unit="content", disable=None) as progress:
        row = 0
        for vectors in chunks:
            for start in range(0, len(vectors), 1000):
                part = vectors[start : start + 1000]
                contents = [
                    Content(str(n), "text", metadata={"n": n, "rare": n % 100 == 0})
                    for n in range(row, row + len(part))
                ]
                database.write([Put(c, stored(vector)) for c, vector in zip(contents, part, strict=True)])
                row += len(part)
                progress.update(len(part))


def searches(name: str, path: Path, model: VectorModel, questions: dict[str, Floats]) -> list[rows.Row]:
    """Start, building and search of a file of contents, and the same search among every vector."""
    before, begun = resident(), time.perf_counter()
    with closing(LocalContents(path, model, threads=1)) as store:
        opened = time.perf_counter() - begun
        if store._index._merging:
            store._index._merging.join()
        built = time.perf_counter() - begun - opened
        segment: Any = store._index.view.segment
        print(
            f"{name}, {store.count():,} contents of {model.size} numbers: opened in {opened:.1f} s, index built in",
            end=" ",
        )
        print(
            f"{built:.1f} s, {segment.index.nprobe} of {segment.index.nlist} lists, {resident() - before:.0f} MiB",
            flush=True,
        )
        with store._database.feed.snapshot() as (numbers, vectors):
            every = flat(numbers, vectors, model.size)
        found = []
        for kind, queries in questions.items():
            found.append(compare(kind, store, every, queries))
        rare = Where(conditions=(Condition("rare", "eq", True),))
        half = Where(conditions=(Condition("n", "gte", len(numbers) // 2),))
        for kind, where in (("one in a hundred passes", rare), ("half of them pass", half)):
            took = milliseconds(partial(store.search, k=10, where=where), queries)
            print(f"  a filter that {kind}: {took:.2f} ms", flush=True)
    return found


def compare(kind: str, store: LocalContents, every: Segment, queries: Floats) -> rows.Row:
    """The p50 and the recall at k 10, and how long comparing with every vector takes."""
    everyone = every.alive(np.ones(len(every), bool))
    wanted = [set(every.search(query, 10, everyone)[0].tolist()) for query in queries]
    found = [set(store._index.view.search(query, 10)[0].tolist()) for query in queries]
    recall = float(np.mean([len(one & other) / 10 for one, other in zip(found, wanted, strict=True)]))
    used, exact = (
        milliseconds(work, queries) for work in (lambda q: store.search(q, 10), lambda q: every.search(q, 10, everyone))
    )
    print(f"  by {kind}: p50 {used:.2f} ms, recall@10 {recall:.4f}; comparing with every vector {exact:.2f} ms")
    what, most = f"search among {len(every):,} contents by {kind}", 4 if len(every) <= 100_000 else 5
    sides = (f"{used:.2f} ms, recall {recall:.4f}", f"every vector {exact:.1f} ms")
    return rows.Row(what, f"p50 <= {most} ms, recall >= 0.99", *sides, used <= most and recall >= 0.99)


def without_last(chunks: Iterable[Floats], count: int, last: list[Floats]) -> Iterator[Floats]:
    """The first `count` vectors; the others go to `last`."""
    for vectors in chunks:
        yield vectors[:count]
        if len(vectors) > count:
            last.append(vectors[count:])
        count = max(0, count - len(vectors))


def texts(model: Model) -> Floats:
    """Vectors (N, D) of what people would look for, with the model's own labels."""
    labels = parse_labels((ROOT / "labels/pantry.txt").read_text(), longest=200)
    return model.encoder.texts([way.format(label.name) for label in labels for way in WAYS][:QUERIES])


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="*", default=[100_000], help="how many contents, once each")
    parser.add_argument("--data", type=Path, help="a folder with cifar10/ and grocery/: real vectors too, 100,000")
    parser.add_argument("--model", default="larder-small", help="the bundle that makes the real vectors")
    parser.add_argument("--adds", type=int, default=8_000, help="how many durable adds")
    rows.add_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [durable_adds(Path(folder), options.adds)]
    for count in options.counts:
        with tempfile.TemporaryDirectory() as folder:
            path, model, last = Path(folder) / "contents.sqlite", VectorModel("drawn", "0", 512), list[Floats]()
            fill(path, model, without_last(drawn_chunks(count + QUERIES), count, last), count)
            found += searches("drawn vectors", path, model, {"drawn vectors": np.concatenate(last)})
    if options.data:
        opened = open_model(Settings(model=options.model))
        vectors = real_vectors(opened, options.data, 100_000 + QUERIES)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "contents.sqlite"
            fill(path, opened.vectors, [vectors[QUERIES:]], 100_000)
            found += searches(
                f"real vectors of {opened.name}",
                path,
                opened.vectors,
                {"pictures": vectors[:QUERIES], "texts": texts(opened)},
            )
    rows.hand_in(options.rows, found)


if __name__ == "__main__":
    main()
