"""How long a start and a request take, beside the bare model on the same picture.

python -m benchmarks.latency [--model larder-small]
"""

import argparse
import base64
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from app.bundle import find_bundle, open_bundle
from app.engines.choice import open_engine
from app.settings import available_processors
from benchmarks.server import Server

ROUNDS = 300


def photo(side: int = 348, seed: int = 0) -> bytes:
    """A JPEG as detailed as a photograph: smooth noise."""
    small = np.random.default_rng(seed).integers(0, 256, (side // 6, side // 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def milliseconds(call: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """How long each of so many calls took, after a tenth as many to warm up."""
    taken = []
    for number in range(rounds + rounds // 10):
        start = time.perf_counter()
        call()
        if number >= rounds // 10:
            taken.append(1000 * (time.perf_counter() - start))
    return taken


def starts(model: str, folder: str, count: int = 5) -> list[float]:
    """Seconds from the start of the process to the first 200 of `GET /`, after one start that fills the caches."""
    seconds = []
    for _ in range(count + 1):
        with Server(model=model, data=folder, log_level="warning") as server:
            seconds.append(server.ready())
    return seconds[1:]


def main() -> None:
    """Print start, request and bare model, in one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle to serve")
    model = parser.parse_args().model
    bundle = open_bundle(find_bundle(model))
    pixels = np.zeros((1, 3, bundle.config.image_size, bundle.config.image_size), np.float32)
    body = {"image_data": base64.b64encode(photo()).decode()}
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine("auto", bundle, available_processors(), Path(folder))
        ready = statistics.median(starts(model, folder))
        with Server(model=model, data=folder, log_level="warning") as server:
            server.ready()
            request = milliseconds(lambda: server.client.post("/process-image", json=body).raise_for_status())
        raw = statistics.median(milliseconds(lambda: engine.encode_pixels(pixels)))
    p50, p99 = statistics.median(request), statistics.quantiles(request, n=100)[98]
    print(f"{model} on {engine.name}, {available_processors()} processors, a 348 x 348 JPEG")
    print(f"start to ready (median of 5, second start on)  {ready:8.2f} s")
    print(f"POST /process-image, one client                {p50:8.2f} ms p50, {p99:.2f} ms p99")
    print(f"the bare picture tower, batch 1                {raw:8.2f} ms p50")
    print(f"the service's share                            {p50 - raw:8.2f} ms")


if __name__ == "__main__":
    main()
