"""Test for memory growth: resident memory before and after thousands of pictures of many sizes.

python -m benchmarks.memory --model ViT-B-32-none --labels 10000
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import rows
from benchmarks.live import resident, start
from benchmarks.photo import photo
from harness.load import closed_loop, recognise

WARM = 2_000
SIDES = (64, 200, 348, 348, 348, 348, 500, 800, 1200, 2400)


def main() -> None:
    """Print resident memory at each fifth, and the growth since the first requests; fail if it exceeds 5 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32-none", help="the bundle to serve")
    parser.add_argument("--labels", type=int, default=10_000, help="how many labels (10,000)")
    parser.add_argument("--requests", type=int, default=20_000, help="how many requests (20,000)")
    rows.add_option(parser)
    options = parser.parse_args()
    requests = [recognise(photo(side, seed)) for seed, side in enumerate(SIDES)]
    with tempfile.TemporaryDirectory() as folder:
        server, _ = start(options.model, folder, options.labels)
        with server:
            rest = resident(server)
            closed_loop(server.port, requests, 16, WARM)
            sizes = [resident(server)]
            for _ in range(5):
                answers = closed_loop(server.port, requests, 16, options.requests // 5)
                bad = [each.status for each in answers if each.status != 200]
                if bad:
                    sys.exit(f"{len(bad)} requests were not answered well: {set(bad)}")
                sizes.append(resident(server))
            status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    growth = 100 * (sizes[-1] / sizes[0] - 1)
    print(f"{options.model}, {options.labels:,} labels, JPEGs from {min(SIDES)} to {max(SIDES)} pixels, 16 clients")
    print(f"resident at rest {rest:.0f} MiB, after {WARM:,} requests {sizes[0]:.0f} MiB, at most {peak:.0f} MiB")
    print("after each fifth of " + f"{options.requests:,} more: " + ", ".join(f"{size:.0f}" for size in sizes[1:]))
    print(f"growth {growth:+.1f} % (at most 5 % is wanted)")
    ours, other = f"{sizes[-1]:.0f} MiB, {growth:+.1f} %", f"at rest {rest:.0f} MiB, after {WARM:,} {sizes[0]:.0f}"
    what = f"resident, {options.labels:,} labels, after {options.requests:,} requests"
    kept = growth <= 5 and sizes[-1] <= 1024
    rows.hand_in(options.rows, [rows.Row(what, "<= 1 GiB, growth <= 5 %", ours, other, kept)])
    sys.exit(growth > 5)


if __name__ == "__main__":
    main()
