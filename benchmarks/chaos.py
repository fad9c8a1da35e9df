"""Test the service under fault conditions: `make chaos`, within five minutes.

    python -m benchmarks.chaos [--model ViT-B-32-none] [--only overload]

Starts real processes, sends what no client should send, applies ten times the load they can carry, kills them, and cuts
them off from Firestore. Each line has what was wanted and what was seen; the exit status is 1 if a line failed.
"""

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx

from app.settings import available_processors
from benchmarks.attacks import attacks
from benchmarks.durability import firestore, killed, served, thousand_adds
from benchmarks.photo import photo
from benchmarks.rows import Row
from harness import hostile
from harness.load import Answer, closed_loop, open_loop, recognise, summary
from harness.server import memory, reset_peak


def broken_inputs(model: str, folder: Path) -> Row:
    """Send every hostile request once, from two clients, with valid ones in between."""
    good = recognise(photo())
    with served(model, folder) as server:
        closed_loop(server.port, [good], 8, 100)
        before = memory(server, "VmRSS")
        reset_peak(server)  # the start may have taken more, to make an int8 graph

        def send(request: tuple[str, hostile.Call]) -> tuple[str, int]:
            name, (method, path, body, media_type) = request
            headers = {"Content-Type": media_type}
            try:
                return name, server.client.request(method, path, content=body, headers=headers).status_code
            except httpx.TransportError as error:
                return f"{name}: {error!r}", 0

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(send, hostile.requests()))
        peak, after = memory(server, "VmHWM") - before, memory(server, "VmRSS") - before
        well = {each.status for each in closed_loop(server.port, [good], 2, 10)}
    bad = [f"{name}: {status}" for name, status in answers if status == 0 or status >= 500]
    for line in bad[:10]:
        print(f"  {line}", file=sys.stderr)
    seen = f"{len(answers)} kinds, {len(bad)} bad answers, {peak:+.0f} MiB at most, {after:+.0f} MiB after"
    kept = len(answers) >= 300 and not bad and peak <= 300 and well == {200}
    return Row("hostile and broken inputs", "no 5xx, no hang, at most +300 MB, the next answers", seen, kept=kept)


def overload(model: str, folder: Path) -> Row:
    """Apply ten times the throughput of sixteen clients, from an open loop."""
    request = [recognise(photo(seed=seed)) for seed in range(4)]
    with served(model, folder) as server:
        closed_loop(server.port, request, 16, 200)
        carried = closed_loop(server.port, request, 16, 1000)
        capacity, used = summary(carried).rate, time.process_time()
        answers = open_loop(server.port, request, 10 * capacity, 30)
        asking = (time.process_time() - used) / 30 / available_processors()
    good = [each for each in answers if each.status == 200]
    refused = [each for each in answers if each.status == 503 and each.retry_after]
    other = Counter(each.status for each in answers if each.status not in (200, 503))
    goodput = len([each for each in good if each.done < answers[0].meant + 30]) / 30
    slow, late = p99(refused), p99(good)
    seen = (
        f"carries {capacity:.0f} a second, {len(answers) / 30:.0f} asked: {goodput:.0f} answered = "
        f"{100 * goodput / capacity:.0f} %, p99 {late:.2f} s; refused p99 {1000 * slow:.0f} ms; others {dict(other)}; "
        f"asking took {100 * asking:.0f} % of the processors"
    )
    kept = goodput >= 0.9 * capacity and slow <= 0.1 and late <= 1 and not other
    return Row("10 x overload, 30 s", "goodput >= 90 %, refused within 100 ms, accepted p99 <= 1 s", seen, kept=kept)


def p99(answers: list[Answer]) -> float:
    """Return the 99th percentile of the latency, s."""
    return summary(answers).p99 if len(answers) > 1 else 0.0


def sigterm(model: str, folder: Path) -> Row:
    """Send SIGTERM while eight clients ask without a pause; new requests are refused at once."""
    request = recognise(photo())
    with served(model, folder, drain=2) as server:
        answers: list[Answer] = []
        asking = threading.Thread(target=lambda: answers.extend(closed_loop(server.port, [request], 8, 100_000, True)))
        asking.start()
        time.sleep(1)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        draining = server.client.get("/").status_code
        server.end()
        seconds = time.monotonic() - begun
        asking.join()
    counts = Counter(each.status for each in answers)
    lost = counts[0] - 8  # each client meets the closed port once
    status = server.process.returncode
    seen = f"{counts[200]} answered, {counts[503]} x 503, {max(lost, 0)} lost; GET / {draining}; "
    seen += f"exit {status} after {seconds:.1f} s"
    kept = (
        lost <= 0
        and draining == 503
        and counts[503] > 0
        and status == 0
        and seconds <= 30
        and set(counts) <= {0, 200, 503}
    )
    return Row(
        "SIGTERM under load", "accepted work is answered, what is new gets 503, exit 0 within 30 s", seen, kept=kept
    )


ROWS: dict[str, Callable[[str, Path], Row | Iterable[Row]]] = {
    "hostile": broken_inputs,
    "attacks": attacks,
    "overload": overload,
    "sigterm": sigterm,
    "kill": killed,
    "adds": thousand_adds,
    "firestore": firestore,
}


def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle to serve under load; the rest is small's")
    parser.add_argument("--only", choices=list(ROWS), help="one row alone")
    options = parser.parse_args()
    kept = True
    for name in [options.only] if options.only else ROWS:
        model = options.model if name in ("hostile", "overload", "sigterm") else "larder-small"
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            made = ROWS[name](model, Path(folder))
            for row in [made] if isinstance(made, Row) else made:
                verdict = {True: "met", False: "MISSED", None: "not tried"}[row.kept]
                took = f"{time.monotonic() - begun:.0f} s"
                print(f"{row.what}: {verdict} ({took})\n  wanted: {row.wanted}\n  seen:   {row.ours}", flush=True)
                kept &= row.kept is not False
                begun = time.monotonic()
    sys.exit(not kept)


if __name__ == "__main__":
    main()
