"""Measure whether batches pay, and whether several processes do.

    python -m benchmarks.batching --model larder-small

Answers per second for sixteen clients, and the p50 of one, with batches of at most 1, 4, 8, 16 and 32 pictures; then
two processes of one thread each, with eight clients each, against one process with all threads. Rounds alternate.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.settings import available_processors
from benchmarks.photo import photo
from benchmarks.service import processor
from harness.load import closed_loop, recognise, summary
from harness.server import Server

BATCHES = (1, 4, 8, 16, 32)


def started(model: str, folder: Path, threads: int, batch: int) -> Server:
    """Start a service and warm it up."""
    server = Server(model=model, data=folder, threads=threads, max_batch=batch, pantry="none", log_level="warning")
    server.ready(120)
    closed_loop(server.port, [recognise(photo())], 16, 50)
    return server


def together(servers: Sequence[Server], requests: Sequence[bytes], count: int) -> float:
    """Return the answers per second of sixteen clients, shared among the services."""
    with ThreadPoolExecutor(len(servers)) as pool:
        each = (16 // len(servers), count // len(servers))
        loads = [pool.submit(closed_loop, server.port, requests, *each) for server in servers]
        return summary([answer for load in loads for answer in load.result()]).rate


def main() -> None:
    """Print the medians of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle to serve")
    parser.add_argument("--count", type=int, default=1000, help="requests a measurement (1000)")
    parser.add_argument("--turns", type=int, default=3, help="how often each is measured (3)")
    options = parser.parse_args()
    threads, requests = available_processors(), [recognise(photo(seed=seed)) for seed in range(8)]
    rates: dict[str, list[float]] = {}
    ones: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(options.turns):
            for batch in BATCHES:
                with started(options.model, Path(name), threads, batch) as server:
                    key = f"at most {batch} a batch"
                    rates.setdefault(key, []).append(together([server], requests, options.count))
                    alone = summary(closed_loop(server.port, requests, 1, options.count // 8))
                    ones.setdefault(key, []).append(1000 * alone.p50)
            half = max(1, threads // 2)
            with (
                started(options.model, Path(name), half, BATCHES[-1]) as one,
                started(options.model, Path(name), half, BATCHES[-1]) as other,
            ):
                rates.setdefault("two processes", []).append(together([one, other], requests, options.count))
    print(f"{options.model}, 348 x 348 JPEG; {processor()}; medians of {options.turns} turns")
    for key, found in rates.items():
        p50 = f"{statistics.median(ones[key]):8.2f} ms" if key in ones else ""
        print(f"{key:<22}{statistics.median(found):8.1f} a second, 16 clients {p50}", flush=True)


if __name__ == "__main__":
    main()
