"""The rows of `make bench`: each benchmark adds its own, with both sides, and they are printed as one table."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A measurement, its goal, our value and the one it is compared with; `kept` is None without a goal."""

    what: str
    wanted: str
    ours: str
    other: str = ""
    kept: bool | None = None


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--rows FILE`, to which a benchmark appends its rows."""
    parser.add_argument("--rows", type=Path, metavar="FILE", help="add the rows of the table, as JSON lines")


def hand_in(file: Path | None, rows: Sequence[Row]) -> None:
    """Append rows to the file, if there is one."""
    if file:
        with file.open("a") as lines:
            lines.writelines(json.dumps(asdict(row)) + "\n" for row in rows)


def read(file: Path) -> list[Row]:
    """Read all rows of the file."""
    return [Row(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def table(rows: Sequence[Row]) -> str:
    """Render the rows as a table in Markdown."""
    verdict = {True: "yes", False: "**no**", None: ""}
    lines = [f"| {row.what} | {row.wanted} | {row.ours} | {row.other} | {verdict[row.kept]} |" for row in rows]
    return "\n".join(["| what | target | ours | compared with | met |", "|---|---|---|---|---|", *lines])
