"""Run all benchmarks of speed, memory and recognition one after another, and print their rows as one table.

    python -m benchmarks [--data ../shared/data] [--peers PYTHON] [--large]

Each is a separate command. One that cannot run here is reported, and the others continue.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import rows
from benchmarks.service import processor

VIT = ("--model", "ViT-B-32-none")
SMALL = ("--model", "larder-small")


def commands(options: argparse.Namespace) -> list[tuple[str, ...]]:
    """Return the benchmarks with their options."""
    peers = [("peers", "--python", str(options.peers))] if options.peers else []
    counts = ("100000", "1000000") if options.large else ("100000",)
    return [
        ("service", *VIT, "--naive"),
        ("service", *SMALL),
        ("media_types", *SMALL),
        ("preprocessing", *SMALL, "--data", str(options.data)),
        ("preprocessing", *VIT),
        ("large_pictures", *VIT),
        ("engine", *VIT),
        *peers,
        ("live", *SMALL, "--counts", "1000", "--start", "1.5"),
        ("live", *VIT),
        ("memory", *VIT),
        ("contents", "--data", str(options.data), "--counts", *counts),
        ("duplicates", "--data", str(options.data), *(("--count", "1000000") if options.large else ())),
        ("bulk", *VIT),
        ("events", *SMALL, "--rounds", "10"),
        ("size",),
        ("accuracy", *SMALL, "--data", str(options.data)),
    ]


def main() -> None:
    """Print each benchmark's own output, then the table; returns 1 if a benchmark could not be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="pictures to recognise")
    parser.add_argument("--peers", type=Path, help="the Python that has infinity: benchmarks/peers-requirements.txt")
    parser.add_argument("--large", action="store_true", help="contents by the million too, ten minutes more")
    options = parser.parse_args()
    if not options.peers:
        print("peers are not measured: --peers names a Python that has benchmarks/peers-requirements.txt")
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        for name, *arguments in commands(options):
            print(f"\n{name} {' '.join(arguments)}", flush=True)
            start = time.monotonic()
            if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments, "--rows", file]).returncode:
                failed.append(f"{name} {' '.join(arguments)}")
            print(f"{name} took {time.monotonic() - start:.0f} s", flush=True)
        print(f"\n{processor()}; client and service share them\n\n{rows.table(rows.read(file))}")
    if failed:
        sys.exit(f"not measured, or target missed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
