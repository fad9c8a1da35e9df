"""Import and export items: CSV with a heading `item,count`, or JSON lines `{"item": ..., "count": ...}`.

Spreadsheets take a CSV cell that begins with `=`, `+`, `-` or `@` for a formula. Such a name is exported with an
apostrophe before it, which the import removes.
"""

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TextIO

from tqdm import tqdm

from app.atomic import atomic_write
from app.errors import InvalidRequest, NotFound, StoreUnavailable
from app.pantry import MAX_COUNT, PantryStore, item_name
from app.pantry.journal import Origin, acting_as
from app.text import csv_cell, from_csv_cell

AT_A_TIME = 16
IMPORT = Origin(by="app pantry import")  # as shown in the journal
Form = Literal["csv", "jsonl"]


@dataclass(frozen=True)
class Line:
    """A line of a file: an item and its count, or its error."""

    number: int
    item: str = ""
    count: int = 0
    problem: str = ""


def transfer(
    opened: Callable[[], PantryStore],
    action: Literal["import", "export"],
    path: Path | None,
    said: Form | None,
    as_json: bool,
) -> int:
    """Run one command and report its result; returns 1 if some lines could not be imported, 0 otherwise.

    Raises InvalidRequest, StoreUnavailable, or NotFound if there is no pantry.
    """
    form = form_of(path, said)
    if as_json and not path:
        raise InvalidRequest("--json needs a FILE: standard output cannot take the items and the summary")
    lines = read_lines(path, form) if path and action == "import" else []
    bad = [line for line in lines if line.problem]
    store = opened()
    try:
        if store.status().status == "none":
            raise NotFound("there is no pantry to copy from or to: LARDER_PANTRY is none")
        if action == "import":
            bad += import_items(store, lines)
            items = len(lines) - len(bad)
        else:
            items = export_items(store, path, form)
    finally:
        store.close()
    for line in sorted(bad, key=lambda line: line.number):
        print(f"{path}: line {line.number}: {line.problem}", file=sys.stderr)
    if as_json:
        print(json.dumps({"action": action, "file": str(path), "items": items, "failed": len(bad)}))
    else:
        print(f"{items} items {action}ed" + (f", {len(bad)} lines left out" if bad else ""), file=sys.stderr)
    return int(bool(bad))


def form_of(path: Path | None, said: Form | None) -> Form:
    """Return the format of a file: the given one, or that of its suffix; CSV for standard output.

    Raises InvalidRequest for an unknown suffix.

    >>> form_of(Path("pantry.jsonl"), None)
    'jsonl'
    """
    if said or path is None:
        return said or "csv"
    forms: dict[str, Form] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    if path.suffix.lower() not in forms:
        raise InvalidRequest(f"{path}: give --format csv or jsonl, or a file name that ends in .csv or .jsonl")
    return forms[path.suffix.lower()]


def export_items(store: PantryStore, path: Path | None, form: Form) -> int:
    """Write all items by name to a file, atomically, or to standard output; returns their number.

    Raises InvalidRequest if the file cannot be written.
    """
    items = store.items()
    with _opened(path) if path else nullcontext(sys.stdout) as file:
        writer = csv.writer(file, lineterminator="\n")
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        if form == "csv":
            writer.writerow(["item", "count"])
        for item, count in tqdm(items.items(), unit="item", disable=not sys.stderr.isatty()):
            if form == "csv":
                # many spreadsheets split at semicolons too, but not within quotes
                (quoting if ";" in item else writer).writerow([csv_cell(item), count])
            else:
                file.write(json.dumps({"item": item, "count": count}, ensure_ascii=False) + "\n")
    return len(items)


def import_items(store: PantryStore, lines: Sequence[Line]) -> list[Line]:
    """Set the count of each valid line, several at a time; return the refused ones.

    Raises StoreUnavailable at the first failure, with the number stored so far.
    """
    good = [line for line in lines if not line.problem]
    refused, done = [], 0
    with ThreadPoolExecutor(AT_A_TIME) as pool, tqdm(total=len(good), disable=not sys.stderr.isatty()) as bar:
        try:
            for line in pool.map(partial(_put, store), good):
                bar.update()
                done += 1
                refused += [line] if line.problem else []
        except StoreUnavailable as error:
            pool.shutdown(cancel_futures=True)
            place = f"line {good[done].number} of the file: {error}; {done} of {len(good)} lines were done before"
            raise StoreUnavailable(f"{place}; import it again: counts are set, not added") from error
    return refused


def _put(store: PantryStore, line: Line) -> Line:
    try:
        with acting_as(IMPORT):
            store.put(line.item, line.count)
    except InvalidRequest as error:
        return Line(line.number, problem=str(error))
    return line


def read_lines(path: Path, form: Form) -> list[Line]:
    """Read all lines of a file, valid or not; raises InvalidRequest if the file itself cannot be read."""
    first: dict[str, int] = {}
    lines = []
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            for number, record in _csv_records(file) if form == "csv" else _json_records(file):
                line = _line(number, record)
                if not line.problem and first.setdefault(line.item, number) != number:
                    line = Line(number, problem=f"{line.item!r} is already in line {first[line.item]}")
                lines.append(line)
    except (OSError, csv.Error) as error:
        raise InvalidRequest(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return lines


def _csv_records(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """Read the rows by column names, with numeric counts; raises InvalidRequest for another heading."""
    reader = csv.DictReader(file)
    heading = [name.strip().lower() for name in reader.fieldnames or []]
    if not {"item", "count"} <= set(heading):
        raise InvalidRequest(
            f"{file.name}: line 1: the heading has to name item and count; it is {','.join(heading)!r}"
        )
    reader.fieldnames = heading
    for row in reader:
        count = (row["count"] or "").strip()
        yield (
            reader.line_num,
            {
                "item": from_csv_cell(row["item"] or ""),
                "count": int(count) if re.fullmatch(r"\d{1,12}", count) else count,
            },
        )


def _json_records(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, text in enumerate(file, start=1):
        try:
            record = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError) as error:
            yield number, f"not JSON: {error}"
        else:
            if text.strip():
                yield number, record if isinstance(record, dict) else f"not an object: {text.strip()[:50]}"


def _line(number: int, record: Mapping[str, Any] | str) -> Line:
    """Parse a record, with the checks of the HTTP interface; returns the item or the error."""
    if isinstance(record, str):
        return Line(number, problem=record)
    item, count = record.get("item"), record.get("count")
    if type(count) is not int or not 0 <= count <= MAX_COUNT:
        return Line(number, problem=f"a count is an integer from 0 to {MAX_COUNT}, not {str(count)[:50]!r}")
    try:
        return Line(number, item_name(item if isinstance(item, str) else ""), count)
    except InvalidRequest as error:
        return Line(number, problem=str(error))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield file
