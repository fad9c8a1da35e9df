"""The page Pantry: items and counts."""

import streamlit as st
from larder_client import Item, Refused

from app.ui import counts
from app.ui.connection import larder, ready
from app.ui.pantry_file import read_items, write_items
from app.ui.sentences import plain
from app.ui.undoing import remarks


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
