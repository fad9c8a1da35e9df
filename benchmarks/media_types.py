"""Compare the cost of sending a picture as base64 in JSON, as raw bytes, and in a form, for one client.

    python -m benchmarks.media_types [--model larder-small] [--side 1080] [--rounds 20]

Rounds alternate between the three, so that other load affects all of them. Processor time is that of the service and of
the client, which encodes base64 and JSON for each request, like a program with new pictures.
"""

import argparse
import base64
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx

from benchmarks import rows
from benchmarks.photo import photo
from harness.server import Server

EACH = 20  # requests per round
Send = Callable[[httpx.Client, bytes], httpx.Response]


def as_json(client: httpx.Client, picture: bytes) -> httpx.Response:
    """Send base64 in JSON."""
    body = json.dumps({"image_data": base64.b64encode(picture).decode()}).encode()
    return client.post("/process-image", content=body, headers={"Content-Type": "application/json"})


def as_it_is(client: httpx.Client, picture: bytes) -> httpx.Response:
    """Send the picture as the body."""
    return client.post("/process-image", content=picture, headers={"Content-Type": "image/jpeg"})


def as_form(client: httpx.Client, picture: bytes) -> httpx.Response:
    """Send the picture as a file of a form."""
    return client.post("/process-image", files={"image": picture})


WAYS: dict[str, Send] = {"base64 in JSON": as_json, "raw body": as_it_is, "multipart": as_form}


@dataclass
class Cost:
    """Milliseconds of one form: each request's latency, and the processor time per request by round."""

    answers: list[float] = field(default_factory=list)
    service: list[float] = field(default_factory=list)
    client: list[float] = field(default_factory=list)

    def shown(self) -> str:
        """Format the medians."""
        p50, service, client = (statistics.median(each) for each in (self.answers, self.service, self.client))
        return f"p50 {p50:.2f} ms, processor {service:.2f} + {client:.2f} ms (service + client)"


def processor_ms(server: Server) -> float:
    """Return the processor time used by the service's threads, ms."""
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def measure(server: Server, picture: bytes, rounds: int) -> dict[str, Cost]:
    """Run the rounds, in rotating order."""
    costs, names = {name: Cost() for name in WAYS}, list(WAYS)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for number in range(-1, rounds):  # the first round warms up
            for name in names[number % 3 :] + names[: number % 3]:
                used, own, cost = processor_ms(server), time.process_time(), Cost()
                for _ in range(EACH):
                    begun = time.perf_counter()
                    WAYS[name](client, picture).raise_for_status()
                    cost.answers.append(1000 * (time.perf_counter() - begun))
                if number >= 0:
                    costs[name].answers += cost.answers
                    costs[name].service.append((processor_ms(server) - used) / EACH)
                    costs[name].client.append(1000 * (time.process_time() - own) / EACH)
    return costs


def main() -> None:
    """Print the costs of each form and record the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle to serve")
    parser.add_argument("--side", type=int, default=348, help="pixels a side of the photograph")
    parser.add_argument("--rounds", type=int, default=20, help=f"of {EACH} requests each way")
    rows.add_option(parser)
    options = parser.parse_args()
    picture = photo(options.side)
    with tempfile.TemporaryDirectory() as folder, Server(model=options.model, data=folder, log_level="error") as server:
        server.ready()
        costs = measure(server, picture, options.rounds)
    for name, cost in costs.items():
        print(f"  {name}: {cost.shown()}")
    what = f"{options.model}: a JPEG of {len(picture):,} bytes as it is"
    row = rows.Row(what, "no more than base64", costs["raw body"].shown(), costs["base64 in JSON"].shown())
    rows.hand_in(options.rows, [row])


if __name__ == "__main__":
    main()
