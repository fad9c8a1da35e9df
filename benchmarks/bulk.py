"""Compare bulk classification of a folder with the bare picture tower.

    python -m benchmarks.bulk --model ViT-B-32-none

"Raw" is the picture tower on the serving engine, called in a loop at its best batch size. Both sides alternate within
one run. Decoding takes processor time from the engine: what is left of raw if the processors that it uses also decode,
with no other loss, is printed as the ceiling.
"""

import argparse
import io
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from app.bulk.command import drain
from app.bulk.files import open_files
from app.bulk.shard_writer import Answers
from app.bulk.sources import find_units
from app.bulk.stages import Worker
from app.classify import recogniser_for
from app.components import Model, open_model
from app.model.engines import Engine
from app.settings import Settings, read_settings
from benchmarks import rows
from benchmarks.photo import photo

BATCHES = (4, 8, 16, 32)
TURNS = 7


def raw(engine: Engine, size: int, batch: int, count: int) -> float:
    """Return the pictures per second of the picture tower alone, in a loop over about `count` of them."""
    pixels = np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)
    begun = time.perf_counter()
    for _ in range(count // batch):
        engine.encode_pixels(pixels)
    return count // batch * batch / (time.perf_counter() - begun)


def bulk(settings: Settings, model: Model, source: Path, out: Path) -> float:
    """Return the pictures per second of `bulk classify`, from files to parquet, without the start of the process."""
    begun = time.perf_counter()
    sink = Answers(out, "parquet", recogniser_for(settings, model, None), 5, {})
    embedded = Worker(settings, model, str(source), set()).embed(find_units(open_files(str(source)))[0])
    good, _ = drain(embedded, sink, io.StringIO(), 1000)
    return good / (time.perf_counter() - begun)


def decoding(settings: Settings, model: Model, data: bytes) -> float:
    """Return the median processor time of a picture from bytes to the model's input, ms."""
    decode, taken = Worker(settings, model, ".", set()).decode, []
    for _ in range(200):
        begun = time.thread_time()
        decode(data)
        taken.append(1000 * (time.thread_time() - begun))
    return statistics.median(taken)


def main() -> None:
    """Print both sides, their ratio and the ceiling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32-none", help="the bundle to run")
    parser.add_argument("--count", type=int, default=512, help="pictures a turn")
    rows.add_option(parser)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photos"
        source.mkdir()
        for number in range(told.count):
            (source / f"{number:05}.jpg").write_bytes(photo(seed=number))
        settings = read_settings().model_copy(update={"model": told.model, "data": Path(folder)})
        model = open_model(settings)
        engine, size = (
            model.encoder._engine,
            model.config.image_size,
        )  # the same engine: two would compete for the processors
        batch = max(BATCHES, key=lambda batch: raw(engine, size, batch, told.count))
        bulk(settings, model, source, Path(folder) / "warm")
        pairs = [
            (raw(engine, size, batch, told.count), bulk(settings, model, source, Path(folder) / f"turn {turn}"))
            for turn in range(TURNS)
        ]
        decode = decoding(settings, model, photo())
    both = [statistics.median(side) for side in zip(*pairs, strict=True)]
    ratio = statistics.median(bulk / raw for raw, bulk in pairs)
    ceiling = 1 / (1 + decode / 1000 * both[0] / settings.threads)
    print(
        f"{told.model}, {settings.threads} processors, {told.count} different 348 x 348 JPEGs, median of {TURNS} turns"
    )
    print(f"raw: the picture tower alone, batch {batch:<4}   {both[0]:8.1f} pictures a second")
    print(f"bulk classify, batch {settings.max_batch:<4}                    {both[1]:8.1f} pictures a second")
    print(f"bulk / raw                                  {ratio:8.3f}")
    print(f"decoding a picture takes one processor      {decode:8.2f} ms")
    print(f"the ceiling that this sets for bulk / raw   {ceiling:8.3f}")
    sides = (f"{both[1]:.0f} a second: {ratio:.2f}", f"bare tower {both[0]:.0f}; ceiling {ceiling:.2f}")
    rows.hand_in(told.rows, [rows.Row("bulk over a folder", ">= 0.90 of the bare tower", *sides, ratio >= 0.9)])


if __name__ == "__main__":
    main()
