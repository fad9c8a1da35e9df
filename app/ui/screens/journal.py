"""The page Journal: what changed the pantry, and a way to undo it."""

import streamlit as st
from larder_client import Change, Conflict

from app.ui.connection import larder, ready
from app.ui.sentences import plain, said, sentence, when

AT_ONCE = 20  # changes on one page
DID = {"add": "put in", "remove": "taken out", "put": "set", "delete": "deleted", "undo": "undone"}


def sentence_of(change: Change) -> str:
    """What was done, in a line; Markdown."""
    before, after = ("nothing" if count is None else str(count) for count in (change.before, change.after))
    return f"**{plain(change.item)}** {DID[change.action]}: {before} → {after}"


def circumstances(change: Change) -> str:
    """When it was, who did it, and what became of it."""
    facts = [when(change.at)]
    if change.by:
        facts.append(f"by {plain(change.by)}")
    if change.undone_by:
        facts.append("undone")
    return " · ".join(facts)


def undo(change: Change) -> None:
    """Undo a change, and show the journal with the change that did so."""
    try:
        made = larder().undo(change.id)
        st.session_state.undone = f"Undone: {sentence_of(made)}."
    except Conflict as error:
        st.session_state.refused = sentence(error)
    st.rerun()


def row(change: Change) -> None:
    """A change and its button."""
    with st.container(border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content", gap=None):
            st.markdown(sentence_of(change))
            st.caption(circumstances(change))
        if not change.undone_by and st.button(
            "Undo", key=f"undo {change.id}", icon=":material/undo:", help=f"Undo the change of {plain(change.item)}"
        ):
            undo(change)


def remarks() -> None:
    """Report the last undo."""
    if done := st.session_state.pop("undone", None):
        st.success(done, icon=":material/undo:")
    if why := st.session_state.pop("refused", None):
        st.warning(why, icon=":material/warning:")


def turn(cursor: str | None) -> None:
    """Buttons to older changes and back to the newest."""
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
