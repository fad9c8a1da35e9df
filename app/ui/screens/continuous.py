"""The page Continuous: one picture after another, one row per answer."""

import streamlit as st

from app.ui.bars import percent
from app.ui.connection import ready
from app.ui.links import link
from app.ui.naming import choose_item, is_name
from app.ui.picking import KINDS, Picked
from app.ui.rows import SIDE, Row, answer, rows
from app.ui.sentences import plain, said


def take(source: str) -> None:
    """Recognise the chosen or taken pictures, and clear the input at once for the next."""
    turn = st.session_state.setdefault("continuous", 0)
    if source == "Camera":
        files = [st.camera_input("A photo", key=f"camera {turn}")]
    else:
        files = [*st.file_uploader("Picture files", KINDS, accept_multiple_files=True, key=f"files {turn}")]
    pictures = [Picked(file.name, file.getvalue()) for file in files if file]
    if not pictures:
        return
    bar = st.progress(0.0, "Recognising")
    for done, each in enumerate(pictures, start=1):
        answer(each)
        bar.progress(done / len(pictures), f"Recognised {done} of {len(pictures)}")
    st.session_state.continuous = turn + 1
    st.rerun()


def show(row: Row, newest: bool) -> None:
    """Draw a row: picture, answer, actions."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"row {row.number}"):
        if row.thumbnail:
            st.image(row.thumbnail, width=SIDE, alt=row.name)
        with st.container(width=260):
            st.markdown(verdict(row))
        with said(), st.container(horizontal=True, width="content"):
            if row.item:
                undoing(row, newest)
            elif row.found:
                adding(row, newest)


def verdict(row: Row) -> str:
    """Describe a row and what was done with it; Markdown."""
    found = row.found
    if found is None:
        return f":material/error: {plain(row.name)}: {row.problem}"
    if row.item:
        taught = " It was taught by this picture." if row.taught else ""
        return f":material/check_circle: **{plain(row.item)}** added: {row.count} now.{taught}"
    score = percent(found.top_k_scores[0])
    if found.known is False:
        return f":material/help: **Unknown**, nearest is {plain(found.item)}"
    if not found.confident:
        return f":material/warning: **Unsure**, perhaps {plain(found.item)}, {score}"
    return f":material/check: **{plain(found.item)}**, {score}"


def adding(row: Row, newest: bool) -> None:
    """Draw a button for each of the best labels, and an input for any other item."""
    for place, item in enumerate(row.names):
        first = place == 0 and row.sure
        if st.button(
            f"Add {plain(item)}" if first else plain(item),
            key=f"add {row.number} {place}",
            help=None if first else "Teach this item by the picture, and add one",
            type="primary" if first else "secondary",
            shortcut="Alt+A" if first and newest else None,
        ):
            row.add(item)
            st.rerun()
    other = st.popover("Other", key=f"other {row.number}", on_change="rerun")
    if other.open:
        with other:
            item = choose_item("It is", key=f"item {row.number}")
            if st.button("Teach and add", key=f"teach {row.number}", icon=":material/school:") and is_name(item):
                row.add(item)
                st.rerun()


def undoing(row: Row, newest: bool) -> None:
    """Draw the undo button of a row."""
    shortcut = "Alt+Z" if newest else None
    if row.change and st.button("Undo", key=f"undo {row.number}", icon=":material/undo:", shortcut=shortcut):
        row.undo()
        st.rerun()


def listing(heading: str, some: list[Row]) -> None:
    """Draw rows under a heading with their number."""
    if some:
        st.header(f"{heading} ({len(some)})")
        for row in some:
            show(row, row is rows()[0])


def page() -> None:
    """Recognise pictures continuously and list their answers."""
    st.caption(
        "One picture after another: each answer is a row, which one click adds to the pantry, corrects or undoes. What "
        "is unknown or unsure is set aside below. Alt+A adds the newest answer, if it was sure; Alt+Z undoes that. "
        "The rows are kept until this page is reloaded."
    )
    ready()
    source = st.segmented_control("Where pictures come from", ["Camera", "Upload"], default="Camera", required=True)
    take(source)
    aside = [row for row in rows() if not row.item and not row.sure]
    listing("Answers", [row for row in rows() if row not in aside])
    listing("Set aside", aside)
    if aside:
        link("Review", "Label them later: the service has a queue of them", ":material/rate_review:")
    if not rows():
        st.info("Take a photo, or choose files: the answers come below.", icon=":material/add_photo_alternate:")
    elif st.button("Clear the list", icon=":material/clear_all:"):
        rows().clear()
        st.rerun()
