"""Ten thousand labels: start-up time, memory at rest, and the time until a new one is recognised.

python -m benchmarks.live --model ViT-B-32-none --counts 1000 10000
"""

import argparse
import base64
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import rows
from benchmarks.photo import photo
from harness.server import Server

WAYS = "baked boiled canned crushed diced dried fermented fresh fried frozen grated grilled".split()  # noqa: SIM905
KINDS = "apple bean berry bread broth cabbage cake cereal cheese chip cookie cracker".split()  # noqa: SIM905


def labels(count: int) -> list[str]:
    """Generate different labels of the usual length."""
    pairs = [f"{way} {kind}" for way in WAYS for kind in KINDS]
    return [f"{pairs[number % len(pairs)]} number {number // len(pairs) + 1}" for number in range(count)]


def resident(server: Server) -> float:
    """Return the resident memory of the service's process, MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def start(model: str, folder: str, count: int) -> tuple[Server, float]:
    """Start a service with `count` labels; returns it and the seconds."""
    file = Path(folder) / "labels.txt"
    file.write_text("\n".join(labels(count)))
    server = Server(model=model, labels=file, data=folder, prompt_cache=200_000, log_level="warning")
    return server, server.ready(patience=900)


def seconds_until_recognised(server: Server, number: int) -> float:
    """Return the seconds from the call that adds an item until `POST /process-image` has one more label."""
    body = {"image_data": base64.b64encode(photo()).decode()}
    before = server.client.post("/process-image", json=body).json()["label_count"]
    begun = time.perf_counter()
    server.client.put(f"/pantry/something new {number} {time.time_ns()}", json={"count": 1}).raise_for_status()
    while server.client.post("/process-image", json=body).json()["label_count"] == before:
        time.sleep(0.005)
    return time.perf_counter() - begun


def main() -> None:
    """Print a line for each count; with 10,000 also the time until a new label is recognised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32-none", help="the bundle to serve")
    parser.add_argument("--counts", type=int, nargs="*", default=[1_000, 10_000], help="how many labels, once each")
    parser.add_argument("--start", type=float, default=4, help="seconds that a start may take (4)")
    rows.add_option(parser)
    options, found = parser.parse_args(), list[rows.Row]()
    model = options.model
    with tempfile.TemporaryDirectory() as folder:
        for count in options.counts:
            server, first = start(model, folder, count)
            with server:
                pass
            server, second = start(model, folder, count)
            with server:
                time.sleep(2)
                print(
                    f"{model}, {count:,} labels: start to ready {first:.2f} s the first time, {second:.2f} s the next;",
                    end=" ",
                )
                print(f"{resident(server):.0f} MiB resident at rest", flush=True)
                what, sides = (
                    f"{model}, {count:,} known labels: start",
                    (f"{second:.2f} s", f"labels new: {first:.1f} s"),
                )
                found.append(rows.Row(what, f"<= {options.start:g} s", *sides, second <= options.start))
                if count == 10_000:
                    times = [seconds_until_recognised(server, number) for number in range(10)]
                    middle, most = statistics.median(times), max(times)
                    print(f"one item more: recognised after {middle:.2f} s, at most {most:.2f} s")
                    sides = (f"{middle:.2f} s", f"at most {most:.2f} s of {len(times)}")
                    found.append(rows.Row("one item more among 10,000 labels", "<= 1 s", *sides, most <= 1))
    rows.hand_in(options.rows, found)


if __name__ == "__main__":
    main()
