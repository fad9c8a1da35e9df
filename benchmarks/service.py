"""The service under load, compared with the bare model on the same pictures in the same run.

    python -m benchmarks.service --model ViT-B-32-none [--rounds 3] [--naive]

One client and sixteen in a closed loop, then an open loop at three quarters of their rate, with times measured from the
intended starts. The bare model runs in between. Client and service share the processors. HTTP, JSON and ranking are
measured as the processor time of the event loop's thread for one client's request.

The rate that the processors allow sixteen clients follows from the cost of a picture without any idle time: the bare
tower at its best batch size, on all processors; decoding, HTTP, JSON, ranking, and the client, on one of them.
"""

import argparse
import base64
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.model.bundle import find_bundle, open_bundle
from app.model.engines import Engine
from app.model.engines.choice import open_engine
from app.native import bound_memory
from app.settings import available_processors
from benchmarks import rows
from benchmarks.live import labels
from benchmarks.photo import photo
from harness.load import Summary, closed_loop, open_loop, recognise, summary
from harness.server import Server

BATCHES = (1, 2, 4, 8, 16)
SECONDS = 4.0  # of each measurement
DECODED = 200  # pictures a turn
MOST_MORE_MS = 3  # than the bare tower, for one client
MOST_LOOP_MS = 0.6
FIRST_S = 30.0  # after the start
MOST_FIRST_MS = 150
LEAST_RATE = {"larder-small": 0.6}  # of the bare tower, sixteen clients; others 0.8
LEAST_OF_POSSIBLE = 0.95


def processor() -> str:
    """Return the processor's name and the number of available processors."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
    return f"{name}, {available_processors()} to use"


def raw(engine: Engine, size: int, batch: int) -> float:
    """Return the median time of one call of the bare picture tower for `batch` pictures, ms."""
    pixels = np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)
    taken: list[float] = []
    end = time.perf_counter() + SECONDS / len(BATCHES)
    while time.perf_counter() < end or len(taken) < 5:
        start = time.perf_counter()
        engine.encode_pixels(pixels)
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def loop_time(server: Server) -> float:
    """Return the processor time of the event loop's thread, the first one of the process, ms."""
    times = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/schedstat").read_text()
    return int(times.split()[0]) / 1e6


def decoding(preparer: Preparer) -> float:
    """Return the median processor time from a base64 picture to the model's input, ms."""
    pictures = [base64.b64encode(photo(seed=seed)).decode() for seed in range(8)]
    taken: list[float] = []
    for number in range(DECODED):
        start = time.thread_time()
        preparer.pixels(pictures[number % 8])
        taken.append(1000 * (time.thread_time() - start))
    return statistics.median(taken)


@dataclass(frozen=True)
class Turn:
    """The bare model, processor time for a request beside it, one client, sixteen, the open loop."""

    raw_ms: float
    raw_rate: float
    decode_ms: float
    loop_ms: float
    client_ms: float
    one: Summary
    many: Summary
    steady: Summary
    refused: int

    @property
    def parts(self) -> dict[str, float]:
        """Return a picture's stages in ms of one processor; encoding at the best batch size, on all of them."""
        encode_ms = 1000 * available_processors() / self.raw_rate
        return {"encoding": encode_ms, "decoding": self.decode_ms, "HTTP": self.loop_ms, "client": self.client_ms}

    @property
    def possible(self) -> float:
        """Return the answers per second that the processors allow."""
        return 1000 * available_processors() / sum(self.parts.values())


def turn(engine: Engine, preparer: Preparer, size: int, server: Server, requests: Sequence[bytes]) -> Turn:
    """Measure each side once, one after another."""
    times = {batch: raw(engine, size, batch) for batch in BATCHES}
    rate = max(1000 * batch / ms for batch, ms in times.items())
    decode_ms = decoding(preparer)
    count, before = round(SECONDS * 600 / times[1]), loop_time(server)
    one = summary(closed_loop(server.port, requests, 1, count))
    loop_ms = (loop_time(server) - before) / count
    asked, used = round(SECONDS * rate * 0.8), time.process_time()
    many = summary(closed_loop(server.port, requests, 16, asked))
    client_ms = 1000 * (time.process_time() - used) / asked
    answers = open_loop(server.port, requests, 0.75 * many.rate, SECONDS)
    refused = sum(each.status != 200 for each in answers)
    return Turn(times[1], rate, decode_ms, loop_ms, client_ms, one, many, summary(answers), refused)


def report(model: str, turns: Sequence[Turn]) -> tuple[list[str], list[rows.Row]]:
    """Print the medians of the rounds, and return them as rows."""

    def ms(what: Callable[[Turn], float]) -> float:
        return 1000 * statistics.median(map(what, turns))

    raw_ms = statistics.median(each.raw_ms for each in turns)
    raw_rate = statistics.median(each.raw_rate for each in turns)
    loop_ms = statistics.median(each.loop_ms for each in turns)
    rate, p50 = statistics.median(each.many.rate for each in turns), ms(lambda each: each.one.p50)
    least = LEAST_RATE.get(model, 0.8)
    lines = [
        f"one client       {p50:8.2f} ms p50, {ms(lambda each: each.one.p99):.2f} p99",
        f"  the bare model {raw_ms:8.2f} ms; {p50 - raw_ms:.2f} ms more (at most {MOST_MORE_MS})",
        f"  the event loop {loop_ms:8.2f} ms of a processor for each request (at most {MOST_LOOP_MS})",
        f"16 clients       {rate:8.1f} a second; {ms(lambda each: each.many.p50):.1f} ms p50, "
        f"{ms(lambda each: each.many.p99):.1f} p99",
        f"  the bare model {raw_rate:8.1f} a second; {rate / raw_rate:.2f} of it (at least {least})",
        f"open loop, 3/4   {ms(lambda each: each.steady.p50):8.2f} ms p50, {ms(lambda each: each.steady.p99):.1f} p99; "
        f"{sum(each.refused for each in turns)} refused",
    ]
    one = (f"{p50:.1f} ms, p99 {ms(lambda each: each.one.p99):.1f}", f"bare tower {raw_ms:.1f} ms")
    many = (f"{rate:.0f} a second, p99 {ms(lambda each: each.many.p99):.0f} ms", f"bare tower {raw_rate:.0f}")
    return lines, [
        rows.Row(f"{model}, one client, p50", f"bare tower + {MOST_MORE_MS} ms", *one, p50 <= raw_ms + MOST_MORE_MS),
        rows.Row(
            f"{model}, HTTP, JSON, ranking: the event loop",
            f"<= {MOST_LOOP_MS} ms of a processor",
            f"{loop_ms:.2f} ms",
            f"a request takes {p50:.1f} ms",
            loop_ms <= MOST_LOOP_MS,
        ),
        rows.Row(f"{model}, 16 clients", f">= {least} of the bare tower", *many, rate >= least * raw_rate),
    ]


def arithmetic(model: str, turns: Sequence[Turn]) -> rows.Row:
    """Compare sixteen clients with what the processors allow."""
    rate = statistics.median(each.many.rate for each in turns)
    possible = statistics.median(each.possible for each in turns)
    share = statistics.median(each.many.rate / each.possible for each in turns)
    parts = [f"{part} {statistics.median(each.parts[part] for each in turns):.2f}" for part in turns[0].parts]
    other = f"{possible:.0f}: a picture takes, in ms of a processor, {', '.join(parts)}"
    print(f"  the arithmetic {other}\n{'':17}{share:8.2f} of it (at least {LEAST_OF_POSSIBLE})", flush=True)
    what, wanted = f"{model}, 16 clients, of what the processors allow", f">= {LEAST_OF_POSSIBLE}"
    return rows.Row(what, wanted, f"{rate:.0f} a second: {share:.2f}", other, share >= LEAST_OF_POSSIBLE)


def first_answers(server: Server, requests: Sequence[bytes], rate: float) -> rows.Row:
    """Return the slowest answer of a service that has just become ready, at this request rate."""
    slowest = 1000 * max(each.seconds for each in open_loop(server.port, requests, rate, FIRST_S))
    print(
        f"the first {FIRST_S:.0f} s   {slowest:8.1f} ms at most, {rate:.0f} a second (at most {MOST_FIRST_MS})",
        flush=True,
    )
    what, wanted = f"slowest answer in the first {FIRST_S:.0f} s", f"<= {MOST_FIRST_MS} ms"
    return rows.Row(what, wanted, f"{slowest:.0f} ms", f"{rate:.0f} a second", slowest <= MOST_FIRST_MS)


def naive(requests: Sequence[bytes], folder: Path, count: int) -> float:
    """Return the p50 of one client of the naive service with this many labels, ms."""
    os.environ["LABELS"] = str(folder / "naive.txt")
    Path(os.environ["LABELS"]).write_text("\n".join(labels(count)))
    with Server(("uvicorn", "--factory", "benchmarks.naive:create_app", "--port", "PORT", "--no-access-log")) as server:
        server.ready(120)
        closed_loop(server.port, requests, 1, 2)
        return 1000 * summary(closed_loop(server.port, requests, 1, 8)).p50


def main() -> None:
    """Print the rows, each with both sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32-none", help="the bundle to serve")
    parser.add_argument("--labels", type=int, default=320, help="how many labels (320)")
    parser.add_argument("--rounds", type=int, default=3, help="how many turns; medians are printed (3)")
    parser.add_argument("--naive", action="store_true", help="the simple service too, both with 40 labels")
    rows.add_option(parser)
    options = parser.parse_args()
    bundle = open_bundle(find_bundle(options.model))
    bound_memory()  # as the service does
    preparer = Preparer(bundle.config.image_form, ImageLimits())
    requests = [recognise(photo(seed=seed)) for seed in range(8)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = open_engine("auto", bundle, available_processors(), folder)
        batch_of_8 = raw(engine, bundle.config.image_size, 8)
        (folder / "labels.txt").write_text("\n".join(labels(options.labels)))
        with Server(
            model=options.model, labels=folder / "labels.txt", data=folder, pantry="none", log_level="warning"
        ) as server:
            server.ready(900)
            expected = LEAST_RATE.get(options.model, 0.8) * 8000 / batch_of_8  # answers a second
            first = first_answers(server, requests, 0.75 * expected)
            closed_loop(server.port, requests, 16, 100)
            size = bundle.config.image_size
            turns = [turn(engine, preparer, size, server, requests) for _ in range(options.rounds)]
    print(f"{options.model} on {engine.name}, {options.labels} labels, 348 x 348 JPEG; {processor()}")
    lines, found = report(options.model, turns)
    print("\n".join(lines), flush=True)
    rows.hand_in(options.rows, [*found, arithmetic(options.model, turns), first])
    if options.naive:
        with tempfile.TemporaryDirectory() as name:
            slow = naive(requests, Path(name), 40)
        ours = 1000 * statistics.median(each.one.p50 for each in turns)
        print(f"simple service   {slow:8.0f} ms p50, 40 labels; {slow / ours:.0f} times ours (at least 50)")
        sides = (f"{ours:.1f} ms", f"{slow:.0f} ms: {slow / ours:.0f} x")
        row = rows.Row("every label encoded at each request (40)", ">= 50 x slower", *sides, slow >= 50 * ours)
        rows.hand_in(options.rows, [row])


if __name__ == "__main__":
    main()
