"""The page Duplicates: groups of near-duplicate entries, and a form to delete some."""

import time
from datetime import datetime
from textwrap import shorten
from typing import Literal

import streamlit as st
from larder_client import Duplicate, DuplicateGroup, DuplicateJob, NotFound

from app.ui.connection import larder, ready
from app.ui.sentences import plain, said

LONGEST = 100  # characters of a text or a name on a card
AT_ONCE = 20  # groups on one page
POLL_S = 0.5
DISTANCES: dict[str, Literal["copy", "scene", "alike"]] = {
    "The same picture, saved again": "copy",
    "The same scene": "scene",
    "Things that are alike": "alike",
}


def ask() -> None:
    """Choose distance and collection, and start the job."""
    with st.form("ask"):
        near, where = st.columns(2)
        distance = DISTANCES[near.selectbox("How near", DISTANCES)]
        collection = where.text_input("In the collection", placeholder="all of them", max_chars=200).strip()
        if st.form_submit_button("Look for duplicates", icon=":material/content_copy:", type="primary"):
            job = larder().duplicates(collection or None, distance=distance)
            st.session_state.update(job=job.job, settled=set())


def found() -> DuplicateJob | None:
    """Return the finished job; show its progress until then. None if none was started."""
    if "job" not in st.session_state:
        return None
    try:
        job = larder().job(st.session_state.job, limit=AT_ONCE + len(st.session_state.settled))
    except NotFound:  # the service was restarted
        del st.session_state["job"]
        return None
    if job.status in ("waiting", "running"):
        st.progress(job.progress, f"Comparing: {job.progress:.0%}")
        time.sleep(POLL_S)
        st.rerun()
    return job


def show(job: DuplicateJob) -> None:
    """Show the groups that are not settled yet, each with the suggested entry to keep."""
    if job.problem:
        st.error(plain(job.problem), icon=":material/error:")
        return
    left = [group for group in job.groups if group.keep not in st.session_state.settled][:AT_ONCE]
    if done := st.session_state.pop("deleted", None):
        st.success(f"Deleted {done}.", icon=":material/check_circle:")
    if not left:
        st.info("No duplicates are left at this distance.", icon=":material/check:")
    elif job.total > 1:
        st.markdown(f"**{job.total - len(st.session_state.settled):,} groups**, the closest first")
    for group in left:
        offer(group)


def offer(group: DuplicateGroup) -> None:
    """Draw a group as a form that deletes what is marked; at first all entries but the best."""
    with st.form(f"group {group.keep}"):
        st.markdown(f":material/star: Keep **{plain(name(group.entries[0]))}**: {plain(group.why)}")
        marked = []
        with st.grid(min_column_width=150) as grid:
            for entry in group.entries:
                with grid.cell():
                    card(entry)
                    if st.checkbox(
                        f"Delete {plain(name(entry))}", value=entry.id != group.keep, key=f"mark {entry.id}"
                    ):
                        marked.append(entry.id)
        delete, keep = st.columns(2)
        if delete.form_submit_button("Delete the marked ones", icon=":material/delete:", type="primary"):
            settle(group, marked)
        if keep.form_submit_button("Keep all of them"):
            settle(group, [])


def settle(group: DuplicateGroup, marked: list[str]) -> None:
    """Delete entries, and show the remaining groups."""
    for id in marked:
        larder().delete_content(id)
    st.session_state.settled.add(group.keep)
    if marked:
        st.session_state["deleted"] = "1 entry" if len(marked) == 1 else f"{len(marked)} entries"
    st.rerun()


def card(entry: Duplicate) -> None:
    """Draw an entry: its picture or text, and its file's metadata."""
    try:
        if entry.type == "image":
            st.image(larder().thumbnail(entry.id), alt=f"picture {entry.id}", width="stretch")
        else:
            st.markdown(f"“{plain(shorten(larder().content(entry.id).text or '', LONGEST, placeholder=' …'))}”")
    except NotFound:
        st.caption("Kept without a thumbnail.")
    if entry.width and entry.height and entry.bytes and entry.stored_at:
        day = datetime.fromtimestamp(entry.stored_at).date()
        st.caption(f"{entry.width} x {entry.height}, {entry.bytes / 1000:,.0f} kB, stored {day}")
    st.caption(f"Cosine {entry.score:.3f}")


def name(entry: Duplicate) -> str:
    """Return an entry's display name: the file's name if it is known."""
    file = entry.metadata.get("file") or entry.metadata.get("path")
    return shorten(str(file or entry.id), LONGEST, placeholder=" …")


def page() -> None:
    """Find near-duplicates and delete some."""
    st.caption("Entries that show the same are put together. What is deleted here is deleted from the service.")
    ready()
    with said():
        ask()
        if job := found():
            show(job)
