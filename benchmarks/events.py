"""Measure what events cost a recognition: without receivers, with all kinds of receivers, and with absent ones.

    python -m benchmarks.events [--model larder-small] [--rounds 40] [--pause 0.05]

Three services with one model: one without webhooks, MQTT and listeners; one with two webhooks, a broker and a listener
of `GET /events`; one whose webhooks and broker are absent. Each picture is a sure recognition, so each is an event.
Rounds alternate between the three in random order, so that other load affects all of them. Receiver, broker and
listener share the processors with the services: without a pause between pictures, delivering one event takes processor
time from the next.
"""

import argparse
import random
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2 as httpx

from benchmarks import rows
from benchmarks.media_types import processor_ms
from harness.mosquitto import Mosquitto, Watcher
from harness.server import ROOT, Server

EACH = 10  # requests per round
SECRET = "whsec_" + "A" * 32
AWAY = "127.0.0.1:9"  # nothing listens there


class Receiver(BaseHTTPRequestHandler):
    """Accepts every event."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer 200."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do nothing."""


@dataclass
class Side:
    """A service, and the milliseconds of its answers and of its processor time for each."""

    server: Server
    answers: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def round(self, picture: bytes, pause: float) -> tuple[list[float], float]:
        """Send a round of requests; return the time of each answer, and the processor time of one with its events."""
        used, answers = processor_ms(self.server), []
        for _ in range(EACH):
            begun = time.perf_counter()
            response = self.server.client.post(
                "/process-image", content=picture, headers={"Content-Type": "image/jpeg"}
            )
            answers.append(1000 * (time.perf_counter() - begun))
            if not response.raise_for_status().json()["confident"]:
                raise RuntimeError("the picture has to be a sure recognition")
            time.sleep(pause)
        return answers, (processor_ms(self.server) - used) / EACH

    def shown(self) -> str:
        """Format the medians."""
        return f"p50 {statistics.median(self.answers):.2f} ms, processor {statistics.median(self.processor):.2f} ms"


def start(running: ExitStack, model: str) -> dict[str, Side]:
    """Start the three services and their receivers."""
    folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    running.callback(receiver.shutdown)
    broker = running.enter_context(Mosquitto(folder))
    running.enter_context(Watcher(broker.port))

    def service(name: str, **settings: str) -> Side:
        return Side(running.enter_context(Server(model=model, data=folder / name, log_level="error", **settings)))

    def told(web: str, mqtt: str) -> dict[str, str]:
        hooks = f"http://{web}/1,http://{web}/2"
        return {"webhooks": hooks, "webhook_secrets": SECRET, "mqtt": f"mqtt://{mqtt}"}

    there = told(f"127.0.0.1:{receiver.server_port}", f"127.0.0.1:{broker.port}")
    sides = {
        "nobody": service("nobody"),
        "there": service("there", **there),
        "away": service("away", **told(AWAY, AWAY)),
    }
    for side in sides.values():
        side.server.ready()
    threading.Thread(target=listen, args=(sides["there"].server.port,), daemon=True).start()
    return sides


def listen(port: int) -> None:
    """Read the event stream until it ends."""
    try:
        with httpx.stream("GET", f"http://127.0.0.1:{port}/events", timeout=None) as response:
            for _ in response.iter_lines():
                pass
    except httpx.HTTPError:
        pass  # the service has stopped


def measure(sides: dict[str, Side], picture: bytes, rounds: int, pause: float) -> None:
    """Run the rounds."""
    rng = random.Random(0)  # noqa: S311 - an order, no secret
    for number in range(-2, rounds):  # the first rounds warm up
        for side in rng.sample(list(sides.values()), len(sides)):
            answers, processor = side.round(picture, pause)
            if number >= 0:
                side.answers += answers
                side.processor.append(processor)


def main() -> None:
    """Print each side and record the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle to serve")
    parser.add_argument("--rounds", type=int, default=40, help=f"of {EACH} requests for each")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds after each picture, as robots make them")
    rows.add_option(parser)
    options = parser.parse_args()
    with ExitStack() as running:
        sides = start(running, options.model)
        measure(sides, (ROOT / "samples/banana.jpg").read_bytes(), options.rounds, options.pause)
    p50 = {name: statistics.median(side.answers) for name, side in sides.items()}
    for name, side in sides.items():
        print(f"  {name}: {side.shown()}, {100 * (p50[name] / p50['nobody'] - 1):+.1f} %")
    ours = f"there {p50['there']:.2f} ms, away {p50['away']:.2f} ms"
    kept = max(p50["there"], p50["away"]) <= 1.03 * p50["nobody"]
    what = f"{options.model}: recognition p50 with webhooks, MQTT and a listener"
    rows.hand_in(options.rows, [rows.Row(what, "within 3 % of nobody told", ours, f"{p50['nobody']:.2f} ms", kept)])


if __name__ == "__main__":
    main()
