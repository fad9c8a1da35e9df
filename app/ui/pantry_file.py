"""Pantry files: CSV with a heading `item,count`, or JSON lines `{"item": ..., "count": ...}`.

The same format as `python -m app pantry`: an apostrophe before a name that begins with `=`, `+`, `-` or `@` keeps
spreadsheets from taking it for a formula.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from larder_client import Item

_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")


def write_items(items: Iterable[Item]) -> str:
    """Serialise the items as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(["item", "count"])
    for each in items:
        cell = f"'{each.item}" if _FORMULA.match(each.item) else each.item
        (quoting if ";" in cell else writer).writerow((cell, each.count))
    return file.getvalue()


def read_items(data: bytes, json_lines: bool) -> tuple[list[Item], list[str]]:
    r"""Parse the items of a file and list the errors of its other lines; raises ValueError with a sentence.

    >>> read_items(b"item,count\nrice,3\npeas,few\n", json_lines=False)
    ([Item(item='rice', count=3)], ['Line 3: a count is a whole number from 0 on, not “few”.'])
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("This file is not text in UTF-8.") from error
    items, problems = [], []
    for number, record in _json_lines(text) if json_lines else _csv(text):
        try:
            items.append(_item(record))
        except ValueError as error:
            problems.append(f"Line {number}: {error}.")
    return items, problems


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text))
    if not {"item", "count"} <= set(reader.fieldnames or []):
        raise ValueError("The first line has to be a heading that names item and count.")
    try:
        for row in reader:
            item = row.get("item") or ""
            yield reader.line_num, row | {"item": item[1:] if item[:1] == "'" and _FORMULA.match(item) else item}
    except csv.Error as error:
        raise ValueError(f"This file cannot be read as CSV: {error}.") from error


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                yield number, json.loads(line)
        except (ValueError, RecursionError):
            yield number, None


def _item(record: Any) -> Item:
    item = record.get("item") if isinstance(record, dict) else None
    if not isinstance(item, str) or not item.strip() or "/" in item:
        raise ValueError("an item needs a name, without a slash")
    count = str(record.get("count"))
    if not (count.isascii() and count.isdecimal()):
        raise ValueError(f"a count is a whole number from 0 on, not “{count[:30]}”")
    return Item(item, int(count))
