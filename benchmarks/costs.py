"""Compute the cost of a thousand pictures on Rekognition, Lambda and ECS, from measured times and listed prices.

python -m benchmarks.costs --model ViT-B-32-none > docs/costs.md     measures, then computes
python -m benchmarks.costs --model larder-small --ms 5.1             computes alone
"""

import argparse
import base64
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.photo import photo
from harness.server import Server

PRICES = Path(__file__).parent / "prices.json"
KILOBYTES_A_CALL = 512  # an HTTP API bills a request for each started unit
HOURS_A_MONTH = 730
TASK = 4096  # MB of a task
CORES = 2  # of the machine that measures, of the task and, with 3,538 MB, of the function


@dataclass(frozen=True)
class Load:
    """The load: `ms` for a picture on the service's processors, and `kilobytes` of a request."""

    ms: float
    kilobytes: float
    architecture: str = "arm64"


def milliseconds(call: Callable[[], object], rounds: int = 300) -> float:
    """Return the median time of a call, ms, after a tenth as many to warm up."""
    taken = []
    for _ in range(rounds + rounds // 10):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[rounds // 10 :])


def read_prices() -> dict[str, float]:
    """Read the listed prices by name, in dollars."""
    return {name: each["price"] for name, each in json.loads(PRICES.read_text())["prices"].items()}


def on_rekognition(prices: dict[str, float]) -> float:
    """Return the dollars for 1,000 pictures, one call each."""
    return 1000 * prices["rekognition_image"]


def on_lambda(prices: dict[str, float], load: Load, memory: int) -> float:
    """Return the dollars for 1,000 pictures on Lambda with this memory (MB) behind an HTTP API, per started ms."""
    seconds = math.ceil(load.ms) / 1000
    compute = seconds * memory / 1024 * prices[f"lambda_gb_second_{load.architecture}"] + prices["lambda_request"]
    return 1000 * (compute + math.ceil(load.kilobytes / KILOBYTES_A_CALL) * prices["http_api_request"])


def task_hour(prices: dict[str, float], load: Load, memory: int) -> float:
    """Return the dollars per hour of one task of this memory (MB) and its load balancer, without pictures."""
    task = CORES * prices[f"fargate_vcpu_hour_{load.architecture}"]
    return task + memory / 1024 * prices[f"fargate_gb_hour_{load.architecture}"] + prices["balancer_hour"]


def on_ecs(prices: dict[str, float], load: Load, memory: int, utilisation: float) -> float:
    """Return the dollars for 1,000 pictures on one task that is busy for this share of the time."""
    pictures_an_hour = 3_600_000 / load.ms * utilisation
    traffic = load.kilobytes / 1024**2 * prices["balancer_unit_hour"]  # dollars for the bytes of one picture
    return 1000 * (task_hour(prices, load, memory) / pictures_an_hour + traffic)


def measure(model: str, body: dict[str, str]) -> float:
    """Measure the median of `POST /process-image` for one client on the Lambda image's engine, ms."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(model=model, data=folder, engine="onnxruntime", threads=CORES, log_level="warning") as server,
    ):
        server.ready()
        post = server.client.post
        return milliseconds(lambda: post("/process-image", json=body).raise_for_status())


PAGE = """# Cost of a thousand pictures

Written by `python -m benchmarks.costs`; the prices are in `benchmarks/prices.json`.

| {model}, {region}, {architecture} | dollars per 1,000 pictures |
|---|---|
{rows}

With all its hours paid, one task and its load balancer cost as much as Lambda at {beyond:,.0f} pictures a month.

- **{origin}:** {ms:.1f} ms for `POST /process-image` by one client (median), ONNX Runtime, {cores} processors, and a
  request of {kilobytes:.0f} KB.
- **Assumed:** AWS takes {scale:g} times as long (`--scale`). The processors there are others than those that measured,
  and nothing was measured there. Lambda's {memory:,} MB come with {memory_cores:.1f} processors.
- **Not counted:** cold starts, provisioned concurrency, logs, data out (an answer is under 1 KB), storage of images,
  public addresses, free tiers. ECS: pictures one at a time; batches make a busy task cheaper.

| unit | dollars | listed on | read in | date of that |
|---|---|---|---|---|
{sources}
"""


def page(options: argparse.Namespace, ms: float, kilobytes: float) -> str:
    """Render the table and its assumptions as Markdown."""
    prices, load = read_prices(), Load(ms * options.scale, kilobytes, options.architecture)
    per_thousand = on_lambda(prices, load, options.memory)
    rows = [
        ("Rekognition, each of DetectLabels and DetectModerationLabels", on_rekognition(prices)),
        (f"Lambda, {options.memory:,} MB, behind an HTTP API", per_thousand),
    ]
    rows += [
        (f"ECS Fargate, a task of {CORES} processors, busy {share:.0%} of the time", on_ecs(prices, load, TASK, share))
        for share in (0.01, 0.1, 0.5)
    ]
    listed = json.loads(PRICES.read_text())
    return PAGE.format(
        **vars(options) | {"ms": ms},
        region=listed["region"],
        rows="\n".join(f"| {what} | {dollars:.4f} |" for what, dollars in rows),
        beyond=1000 * HOURS_A_MONTH * task_hour(prices, load, TASK) / per_thousand,
        origin="Measured" if options.ms is None else "Given, not measured in this run",
        cores=CORES,
        kilobytes=kilobytes,
        memory_cores=options.memory / 1769,
        sources="\n".join(_source(each) for each in listed["prices"].values()),
    )


def _source(each: dict[str, Any]) -> str:
    price = f"{each['price']:.10f}".rstrip("0")
    return f"| {each['unit']} | {price} | {each['page']} | {each['read_in']} | {each['date']} |"


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32-none", help="the bundle")
    parser.add_argument("--ms", type=float, help="milliseconds for a picture; without it, measured")
    parser.add_argument("--scale", type=float, default=2, help="how many times as long AWS takes (2)")
    parser.add_argument("--memory", type=int, default=3008, help="MB of the function (3008)")
    parser.add_argument("--architecture", choices=["arm64", "amd64"], default="arm64")
    options = parser.parse_args()
    body = {"image_data": base64.b64encode(photo()).decode()}
    print(page(options, options.ms or measure(options.model, body), len(json.dumps(body)) / 1024), end="")


if __name__ == "__main__":
    main()
