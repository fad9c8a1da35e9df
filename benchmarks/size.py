"""Measure the installed size of the serving requirements.

python -m benchmarks.size [--requirements requirements.txt] [--packages]
"""

import argparse
import re
from importlib.metadata import distribution
from pathlib import Path

from benchmarks import rows
from harness.server import ROOT

MOST = 620e6


def sizes(requirements: Path) -> dict[str, int]:
    """Return the bytes of each distribution's installed files, including bytecode; raises if one is missing."""
    names = [
        re.split(r"[=<>\[ ;]", line)[0] for line in requirements.read_text().splitlines() if re.match(r"[A-Za-z]", line)
    ]
    return {name: _size(name) for name in names}


def _size(name: str) -> int:
    files = distribution(name).files or []
    return sum(path.stat().st_size for path in {Path(str(file.locate())) for file in files} if path.is_file())


def main() -> None:
    """Print the sum, and each package with --packages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements.txt", help="requirements.txt")
    parser.add_argument("--packages", action="store_true", help="each package, the largest first")
    rows.add_option(parser)
    options = parser.parse_args()
    found = sizes(options.requirements)
    if options.packages:
        for name, size in sorted(found.items(), key=lambda item: -item[1]):
            print(f"{name:<36}{size / 1e6:8.1f} MB")
    total = sum(found.values())
    print(f"{len(found)} packages take {total / 1e6:.0f} MB installed (at most {MOST / 1e6:.0f})")
    largest = max(found, key=lambda name: found[name])
    sides = f"{total / 1e6:.0f} MB", f"{largest}: {found[largest] / 1e6:.0f} MB"
    wanted = f"<= {MOST / 1e6:.0f} MB"
    rows.hand_in(options.rows, [rows.Row("serving requirements, installed", wanted, *sides, total <= MOST)])


if __name__ == "__main__":
    main()
