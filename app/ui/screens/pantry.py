"""The page Pantry: items and counts.

Pantry files are CSV with a heading `item,count`, or JSON lines `{"item": ..., "count": ...}`, as `python -m app pantry`
writes them: an apostrophe before a name that begins with `=`, `+`, `-` or `@` keeps spreadsheets from taking it for a
formula.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import streamlit as st
from larder_client import Item, Refused

from app.ui import counts
from app.ui.connection import larder, ready
from app.ui.counts import remarks
from app.ui.sentences import plain

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


def put_in() -> None:
    """Add to an existing or new item."""
    with st.form("put in", clear_on_submit=True):
        st.header("Put in")
        item = st.text_input("Item", placeholder="rice", max_chars=200)
        quantity = st.number_input("How many", min_value=1, value=1)
        pressed = st.form_submit_button("Add", icon=":material/add:", type="primary")
    if pressed:
        counts.add(item, quantity)


def take_out() -> None:
    """Take from an existing item, or delete it."""
    names = [each.item for each in larder().items()]
    if not names:
        return
    with st.form("take out"):
        st.header("Take out")
        item = st.selectbox("Item of the pantry", names)
        quantity = st.number_input("How many of it", min_value=1, value=1)
        with st.container(horizontal=True):
            take = st.form_submit_button("Take out", icon=":material/remove:")
            delete = st.form_submit_button("Delete", icon=":material/delete:")
    if take:
        counts.take_out(item, quantity)
    if delete:
        counts.delete(item)


def bring_in() -> None:
    """Set the counts of a file; its invalid lines are listed."""
    with st.form("import", clear_on_submit=True):
        st.header("Import")
        file = st.file_uploader("A pantry file: CSV with the heading item,count, or JSON lines", ["csv", "jsonl"])
        pressed = st.form_submit_button("Import", icon=":material/upload:")
    if pressed and not file:
        st.warning("Choose a file first.", icon=":material/warning:")
    if not (pressed and file):
        return
    try:
        items, problems = read_items(file.getvalue(), file.name.lower().endswith(".jsonl"))
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    bar, imported = st.progress(0.0, "Importing"), 0
    for done, each in enumerate(items, start=1):
        try:
            larder().set_count(each.item, each.count)
            imported += 1
        except Refused as error:
            problems.append(f"{each.item}: {error}.")
        bar.progress(done / len(items), f"{done} of {len(items)}")
    bar.empty()
    what = "1 item was" if imported == 1 else f"{imported} items were"
    st.success(f"{what} imported; counts are set, not added.", icon=":material/check_circle:")
    if problems:
        st.warning("Left out:\n" + "".join(f"\n- {plain(each)}" for each in problems), icon=":material/warning:")


def listing(items: list[Item]) -> None:
    """List all items with their counts."""
    if not items:
        st.info(
            "The pantry is empty. Add an item, or recognise a picture and add what it shows.", icon=":material/shelves:"
        )
        return
    names, counts = [plain(each.item) for each in items], [each.count for each in items]
    st.table({"Item": names, "Count": counts}, hide_index=True, border="horizontal", alt="The items of the pantry")
    file = write_items(items)
    st.download_button("Export as CSV", file, "pantry.csv", "text/csv", icon=":material/download:")


def page() -> None:
    """List the items and change them."""
    st.caption("The items of the pantry are labels too: what is added here is recognised from the next picture on.")
    ready()
    left, right = st.columns([3, 2], gap="large")
    with right:
        remarks()
        put_in()
        take_out()
        bring_in()
    with left:
        listing(larder().items())
