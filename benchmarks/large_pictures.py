"""Measure what decoding large JPEGs at reduced size saves, and how it changes the embedding.

    python -m benchmarks.large_pictures --model larder-small [--data ../shared/data]

For each least size, in multiples of the model's side: the cosine similarity between the embeddings of the picture
decoded in full and at reduced size, and the time from bytes to the model's input. Pictures are drawn; with `--data`
photographs enlarged to the same sizes are added.
"""

import argparse
import io
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
from PIL import Image

from app.images.decode import decode, open_picture, reduction
from app.images.header import ImageLimits, read_header
from app.images.prepare import preprocessor
from app.model.bundle import find_bundle, open_bundle
from app.model.encoder import unit
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.settings import available_processors
from benchmarks import rows
from samples.draw import NAMES, draw

SIZES = {"1080p": (1920, 1080), "12 megapixels": (4000, 3000), "640 x 640": (640, 640), "900 x 900": (900, 900)}
TIMES = (None, 4, 3, 2, 1.5)  # None: in full
SERVED = 2
MOST = {"1080p": 11, "12 megapixels": 40}  # milliseconds
QUALITY = 90


def jpeg(picture: Image.Image, size: tuple[int, int]) -> bytes:
    """Crop the picture to the shape, enlarge it and encode it as JPEG."""
    scale = max(size[0] / picture.width, size[1] / picture.height)
    wide, high = size[0] / scale, size[1] / scale
    left, top = (picture.width - wide) / 2, (picture.height - high) / 2
    file = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS, (left, top, left + wide, top + high)).save(
        file, "JPEG", quality=QUALITY
    )
    return file.getvalue()


def originals(count: int, data: Path | None) -> list[Image.Image]:
    """Yield pictures drawn at 1440 pixels, and photographs."""
    drawn = [draw(NAMES[number % len(NAMES)], seed=1000 + number, size=1440) for number in range(count)]
    if data is None:
        return drawn
    rows = pyarrow.parquet.read_table(data / "grocery/val.parquet").slice(0, 300).to_pylist()
    photographs = [Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB") for row in rows[:: 300 // count]]
    return drawn + photographs


def shrunk(file: bytes, enough: int | None) -> Image.Image:
    """Decode the picture in full, or with `enough` pixels to its shorter side."""
    if enough is None:
        return open_picture(file, ImageLimits())
    header = read_header(file, ImageLimits())
    return decode(header, lambda size: reduction(header, min(size), enough)).picture


def main() -> None:
    """Print a line for each size and each least size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle to embed with, in float32")
    parser.add_argument("--data", type=Path, help="the folder with grocery/val.parquet")
    parser.add_argument("--count", type=int, default=20, help="drawn pictures, and as many photographs (20)")
    rows.add_option(parser)
    options, found = parser.parse_args(), list[rows.Row]()
    bundle = open_bundle(find_bundle(options.model))
    engine, form = OnnxRuntimeEngine(bundle, available_processors()), bundle.config.image_form
    preprocess, pictures = preprocessor(form), originals(options.count, options.data)
    print(f"{options.model}, {form.size} pixels, {len(pictures)} pictures, JPEG quality {QUALITY}")
    print(f"{'':<16}{'at least':>10}{'decoded':>14}{'ms p50':>9}{'cosine least':>14}{'median':>11}")
    for name, size in SIZES.items():
        files = [jpeg(picture, size) for picture in pictures]
        full, in_full = None, 0.0
        for times in TIMES:
            enough = round(times * form.size) if times else None
            taken, vectors, decoded = [], [], (0, 0)
            for file in files:
                start = time.perf_counter()
                opened = shrunk(file, enough)
                pixels = preprocess(opened)
                taken.append(1000 * (time.perf_counter() - start))
                decoded = opened.size
                vectors.append(engine.encode_pixels(pixels[None])[0])
            embedded = unit(np.stack(vectors))
            full = embedded if full is None else full
            cosines = (embedded * full).sum(axis=1)
            shape = f"{decoded[0]} x {decoded[1]}"
            wanted = f"{times} x" if times else "in full"
            times_taken, least = statistics.median(taken), float(cosines.min())
            in_full = in_full or times_taken
            print(
                f"{name:<16}{wanted:>10}{shape:>14}{times_taken:>9.1f}{least:>14.6f}{np.median(cosines):>11.6f}",
                flush=True,
            )
            if times == SERVED and name in MOST:
                ours, other = f"{times_taken:.1f} ms, cosine >= {least:.4f}", f"in full {in_full:.1f} ms"
                kept = times_taken <= MOST[name] and least >= 0.999
                found.append(
                    rows.Row(f"a JPEG of {name} to the model's input", f"<= {MOST[name]} ms", ours, other, kept)
                )
    rows.hand_in(options.rows, found)


if __name__ == "__main__":
    main()
