"""The page Journal: the changes of the pantry, and undo."""

import streamlit as st
from larder_client import Change

from app.ui.connection import larder, ready
from app.ui.counts import remarks, sentence_of, undo_button
from app.ui.sentences import plain, said, when

AT_ONCE = 20  # changes on one page


def circumstances(change: Change) -> str:
    """Describe when a change was made, by whom, and whether it was undone."""
    facts = [when(change.at)]
    if change.by:
        facts.append(f"by {plain(change.by)}")
    if change.undone_by:
        facts.append("undone")
    return " · ".join(facts)


def row(change: Change) -> None:
    """Draw a change and its button."""
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content", gap=None):
            st.markdown(sentence_of(change))
            st.caption(circumstances(change))
        if not change.undone_by:
            undo_button(change.id, f"Undo the change of {plain(change.item)}")


def turn(cursor: str | None) -> None:
    """Draw buttons to older changes and to the newest."""
    with st.container(horizontal=True):
        if "journal" in st.session_state and st.button("Newest", icon=":material/first_page:"):
            del st.session_state["journal"]
            st.rerun()
        if cursor and st.button("Older", icon=":material/chevron_right:"):
            st.session_state.journal = cursor
            st.rerun()


def page() -> None:
    """List the changes of the pantry, newest first."""
    st.caption("Whoever changed a count, and when. An undo takes back that change alone, and is listed itself.")
    ready()
    with said():
        remarks()
        item = st.text_input("Only this item", max_chars=200, placeholder="all of them").strip()
        if item != st.session_state.get("journal of", ""):
            st.session_state.pop("journal", None)
        st.session_state["journal of"] = item
        found = larder().journal(item or None, cursor=st.session_state.get("journal"), limit=AT_ONCE)
        if not found:
            st.info("No change is recorded.", icon=":material/history:")
        for change in found:
            row(change)
        turn(found.cursor)
