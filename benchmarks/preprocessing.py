"""Measure preprocessing of a JPEG from bytes to the model's input on one processor, and what the fast path changes.

    python -m benchmarks.preprocessing --model larder-small --data ../shared/data [--count 637]

Each resizing library has a turn on every picture. The baseline is Pillow, whose results are open_clip's.
"""

import argparse
import base64
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from app.exporter.open_clip_import import import_open_clip
from app.images.header import ImageLimits
from app.images.prepare import ImageForm, Preparer
from app.images.resize import LIBRARY, PILLOW
from app.model.bundle import Bundle, find_bundle, open_bundle
from app.model.encoder import unit
from app.model.engines import Engine, Floats
from app.model.engines.choice import open_engine
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.native import bound_memory
from app.recognition.labels import parse_labels
from app.settings import available_processors
from benchmarks import rows
from benchmarks.photo import photo
from harness.server import ROOT

ROUNDS = 400
MOST_MS = 1.0
MOST_CHANGED = 2
AT_ONCE = 8
SIZES = [(int(side), int(other)) for side, other in np.random.default_rng(1).integers(30, 900, (50, 2))]


def milliseconds(preparers: dict[str, Preparer]) -> dict[str, tuple[float, float]]:
    """Return the least and the median processor time of each library for a picture in base64, in turns."""
    pictures = [base64.b64encode(photo(seed=seed)).decode() for seed in range(8)]
    taken: dict[str, list[int]] = {library: [] for library in preparers}
    for number in range(ROUNDS):
        for library, preparer in preparers.items():
            start = time.thread_time_ns()
            preparer.pixels(pictures[number % 8])
            taken[library].append(time.thread_time_ns() - start)
    return {library: (min(each) / 1e6, statistics.median(each) / 1e6) for library, each in taken.items()}


def odd_pictures() -> list[bytes]:
    """Generate 50 PNG files of noise, of odd sizes."""
    files = []
    for width, height in SIZES:
        noise = np.random.default_rng(width + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(file := io.BytesIO(), "PNG", compress_level=1)
        files.append(file.getvalue())
    return files


def photographs(path: Path, count: int) -> list[bytes]:
    """Return the first files of a parquet file's column `image`."""
    column = pq.read_table(path, columns=["image"]).column("image").combine_chunks().field("bytes")
    return [each.as_py() for each in column[:count]]


class Embedder:
    """A bundle on an engine, and the labels of labels/pantry.txt."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._engine = engine
        names = [label.name for label in parse_labels((ROOT / "labels/pantry.txt").read_text(), longest=200)]
        self._labels = unit(self._engine.encode_tokens(bundle.tokenize([f"a photo of {name}" for name in names])))

    def embed(self, pixels_of: Callable[[bytes], Floats], files: Sequence[bytes]) -> Floats:
        """Return the unit embeddings (N, D) of picture files."""
        parts = []
        for start in range(0, len(files), AT_ONCE):
            pixels = np.stack([pixels_of(file) for file in files[start : start + AT_ONCE]])
            parts.append(unit(self._engine.encode_pixels(pixels)))
        return np.concatenate(parts)

    def answers(self, vectors: Floats) -> list[int]:
        """Return the index of each picture's best label."""
        best: list[int] = (vectors @ self._labels.T).argmax(axis=1).tolist()
        return best


def open_clips_own(form: ImageForm) -> Callable[[bytes], Floats]:
    """open_clip's own preprocessing, on Pillow: a picture file to the model's input (3, S, S)."""
    forms = import_open_clip().transform
    config = forms.PreprocessCfg(
        size=form.size, mean=form.mean, std=form.std, interpolation=form.interpolation, resize_mode=form.resize_mode
    )
    transform = forms.image_transform_v2(config, is_train=False)
    return lambda data: np.asarray(transform(Image.open(io.BytesIO(data))), np.float32)


def answers_row(bundle: Bundle, ours: Preparer, sets: dict[str, list[bytes]], exact: Embedder) -> rows.Row:
    """The service's own path in the precision it serves in, beside open_clip's preprocessing in float32."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine("auto", bundle, available_processors(), Path(folder))
        served, theirs = Embedder(bundle, engine), open_clips_own(bundle.config.image_form)
        files = [file for each in sets.values() for file in each]
        one, other = served.embed(ours.pixels, files), exact.embed(theirs, files)
    cosine = float((one * other).sum(axis=1).min())
    changed = sum(mine != its for mine, its in zip(served.answers(one), exact.answers(other), strict=True))
    said = f"{engine.name}: {changed} other labels, cosine >= {cosine:.6f}"
    print(f"as served, beside open_clip's preprocessing in float32: {len(files)} pictures; {said}", flush=True)
    what, wanted = f"answers of {bundle.config.name} on {len(files)} pictures", "<= 2 other labels, cosine >= 0.9999"
    kept = changed <= MOST_CHANGED and cosine >= 0.9999
    return rows.Row(what, wanted, said, "open_clip's preprocessing, float32", kept)


def main() -> None:
    """Print the times, and a line for each set of pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle whose input is made")
    parser.add_argument("--data", type=Path, help="the folder with grocery and things; without it drawn pictures alone")
    parser.add_argument("--count", type=int, default=1000, help="photographs of a set at most (1000)")
    rows.add_option(parser)
    options = parser.parse_args()
    if LIBRARY == PILLOW:
        sys.exit("cykooz.resizer is not installed: Pillow resizes, and there is nothing to compare")
    bound_memory()
    bundle = open_bundle(find_bundle(options.model))
    form = bundle.config.image_form
    ours, theirs = (Preparer(form, ImageLimits(), library=library) for library in (LIBRARY, PILLOW))
    times = milliseconds({LIBRARY: ours, PILLOW: theirs})
    for library, (least, median) in times.items():
        print(f"{library:<16} {least:6.2f} ms of one processor at least, {median:.2f} median; {form.size} pixels")
    sets = {"noise of odd sizes": odd_pictures()}
    for name in ("grocery/test_sample", "things/pictures"):
        if options.data:
            sets[name] = photographs(options.data / f"{name}.parquet", options.count)
    embedder = Embedder(bundle, OnnxRuntimeEngine(bundle, available_processors()))
    least_cosine, changed = 1.0, 0
    for name, files in sets.items():
        one, other = (embedder.embed(preparer.pixels, files) for preparer in (ours, theirs))
        cosines = (one * other).sum(axis=1)
        answers = zip(embedder.answers(one), embedder.answers(other), strict=True)
        different = sum(mine != pillows for mine, pillows in answers)
        print(
            f"{name:<20} {len(files):4} pictures: cosine >= {cosines.min():.6f}, {different} other labels", flush=True
        )
        least_cosine, changed = min(least_cosine, float(cosines.min())), changed + different
    (least, _), (pillow, _) = times[LIBRARY], times[PILLOW]
    kept = least <= MOST_MS and least_cosine >= 0.9999 and changed <= MOST_CHANGED
    said = f"{least:.2f} ms, cosine >= {least_cosine:.5f}, {changed} other labels"
    wanted = f"<= {MOST_MS:g} ms of a processor, cosine >= 0.9999"
    what = f"a JPEG of 348 x 348 to the input of {options.model}"
    row = rows.Row(what, wanted, said, f"Pillow {pillow:.2f} ms", kept)
    asked = {name: files for name, files in sets.items() if name != "things/pictures"}
    rows.hand_in(options.rows, [row, answers_row(bundle, ours, asked, embedder)])


if __name__ == "__main__":
    main()
