"""What there is and how many of it, as a page."""

import streamlit as st
from larder_client import Item, Refused

from app.ui.connection import larder
from app.ui.pantry_file import read_items, write_items
from app.ui.sentences import plain, said


def change(names: list[str]) -> None:
    """Add to an item, take from it, or delete it."""
    with st.form("change", clear_on_submit=True):
        st.subheader("Change an item")
        item = st.selectbox(
            "Item", names, index=None, placeholder="Choose one, or type a new one", accept_new_options=True
        )
        quantity = st.number_input("How many", min_value=1, value=1)
        with st.container(horizontal=True):
            add = st.form_submit_button("Add", icon=":material/add:", type="primary")
            take = st.form_submit_button("Take out", icon=":material/remove:")
            delete = st.form_submit_button("Delete", icon=":material/delete:")
    if not (add or take or delete):
        return
    if not item:
        st.warning("Choose or type an item first.", icon=":material/warning:")
        return
    if delete:
        larder().delete(item)
        st.success(f"{plain(item)} is no longer in the pantry.", icon=":material/delete:")
    else:
        now = larder().add(item, quantity) if add else larder().remove(item, quantity)
        st.success(f"The pantry has {now.count} of {plain(now.item)} now.", icon=":material/check_circle:")


def bring_in() -> None:
    """Set the counts that a file says; the lines that cannot be used are listed."""
    with st.form("import", clear_on_submit=True):
        st.subheader("Import")
        file = st.file_uploader("A pantry file: CSV with the heading item,count, or JSON lines", ["csv", "jsonl"])
        pressed = st.form_submit_button("Import", icon=":material/upload:")
    if not (pressed and file):
        return
    try:
        items, problems = read_items(file.getvalue(), file.name.lower().endswith(".jsonl"))
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    bar = st.progress(0.0, "Importing")
    for done, each in enumerate(items, start=1):
        try:
            larder().set_count(each.item, each.count)
        except Refused as error:
            problems.append(f"{each.item}: {error}.")
        bar.progress(done / len(items), f"{done} of {len(items)}")
    bar.empty()
    st.success(f"{len(items)} lines were read; counts are set, not added.", icon=":material/check_circle:")
    if problems:
        st.warning("Left out:\n" + "".join(f"\n- {plain(each)}" for each in problems), icon=":material/warning:")


def listing(items: list[Item]) -> None:
    """All items with their counts."""
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
    left, right = st.columns([3, 2], gap="large")
    with right:
        with said():
            change([each.item for each in larder().items()])
        with said():
            bring_in()
    with left:
        listing(larder().items())
