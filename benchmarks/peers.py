"""Larder compared with infinity: the same pictures, CLIP ViT-B/32 with random weights, alternating.

    python3 -m venv peers && peers/bin/pip install -r benchmarks/peers-requirements.txt
    python -m benchmarks.peers --python peers/bin/python

infinity has its own Python, because it needs older libraries. It needs no torchvision. On a machine without a GPU
install PyTorch's build for processors first. Larder also ranks 320 labels; infinity returns embeddings.
"""

import argparse
import base64
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2 as httpx

from benchmarks import rows
from benchmarks.live import labels
from benchmarks.photo import photo
from benchmarks.service import processor
from harness.load import Summary, closed_loop, post, recognise, summary
from harness.server import Server


def resident(process: int) -> float:
    """Return the resident memory of a process, MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


@contextmanager
def infinity(python: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """Start infinity on a free port and warm it up; returns its port and process."""
    subprocess.run([python, "-m", "benchmarks.peer_model", folder / "clip"], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command: list[str | Path] = [python.parent / "infinity_emb", "v2", "--model-id", folder / "clip"]
    command += ["--served-model-name", "clip"]
    command += ["--engine", "torch", "--device", "cpu", "--dtype", "float32", "--no-bettertransformer"]
    command += ["--no-model-warmup", "--host", "127.0.0.1", "--port", str(port)]
    offline = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    with (folder / "infinity.log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | offline, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 180
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"infinity did not start: {(folder / 'infinity.log').read_text()[-2000:]}")
            time.sleep(0.5)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def embed(picture: bytes) -> bytes:
    """Build a request to infinity."""
    data = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
    return post("/embeddings", {"model": "clip", "input": [data], "modality": "image"})


def main() -> None:
    """Print both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="the Python that has infinity installed")
    parser.add_argument("--model", default="ViT-B-32-none", help="the bundle that ours serves")
    parser.add_argument("--count", type=int, default=300, help="requests a measurement (300)")
    parser.add_argument("--turns", type=int, default=3, help="how often each is measured (3)")
    rows.add_option(parser)
    options = parser.parse_args()
    pictures = [photo(seed=seed) for seed in range(8)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "labels.txt").write_text("\n".join(labels(320)))
        ours = Server(
            model=options.model, labels=folder / "labels.txt", data=folder, pantry="none", log_level="warning"
        )
        with ours, infinity(options.python.absolute(), folder) as (port, process):
            ours.ready(900)
            sides = {
                "larder": (ours.port, ours.process.pid, [recognise(picture) for picture in pictures]),
                "infinity": (port, process, [embed(picture) for picture in pictures]),
            }
            turns: dict[str, list[tuple[float, ...]]] = {side: [] for side in sides}
            for each in sides.values():
                measure(each, 30)  # to warm up
            for _ in range(options.turns):
                for side, found in turns.items():
                    found.append(measure(sides[side], options.count))
            memory = {side: resident(process) for side, (_, process, _) in sides.items()}
    print(f"ViT-B/32, random weights, 348 x 348 JPEG; {processor()}; medians of {options.turns} turns")
    middle = {side: [statistics.median(column) for column in zip(*found, strict=True)] for side, found in turns.items()}
    for side, (p50, p99, many, rate) in middle.items():
        print(
            f"{side:<10} one client {p50:7.1f} ms p50, {p99:7.1f} p99; "
            f"16 clients {rate:6.1f} a second, {many:7.1f} ms p99; {memory[side]:.0f} MiB"
        )
    times = [other / own for own, other in zip(middle["larder"], middle["infinity"], strict=True)]
    print(f"ours: p50 {times[0]:.1f} x, p99 {times[1]:.1f} x lower, {1 / times[3]:.1f} x the throughput (at least 4)")
    said = [f"{rate:.0f} a second, one client {p50:.0f} ms, p99 {p99:.0f}" for p50, p99, _, rate in middle.values()]
    kept = min(*times[:3], 1 / times[3]) >= 4
    row = rows.Row("16 clients, beside infinity", ">= 4 x, p50 and p99 as well", said[0], said[1], kept)
    rows.hand_in(options.rows, [row])


def measure(side: tuple[int, int, Sequence[bytes]], count: int) -> tuple[float, float, float, float]:
    """Return p50 and p99 of one client, ms; p99 in ms and answers per second of sixteen."""
    port, _, requests = side

    def load(clients: int, number: int) -> Summary:
        answers = closed_loop(port, requests, clients, number)
        if bad := {each.status for each in answers} - {200}:
            raise RuntimeError(f"port {port} answered {clients} clients with status {bad}; 0: no answer in time")
        return summary(answers)

    one, many = load(1, max(20, count // 3)), load(16, count)
    return 1000 * one.p50, 1000 * one.p99, 1000 * many.p99, many.rate


if __name__ == "__main__":
    main()
