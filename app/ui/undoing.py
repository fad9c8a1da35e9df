"""Describe changes of the pantry and undo them."""

import streamlit as st
from larder_client import Change, Item, LarderError

from app.ui.connection import larder
from app.ui.sentences import plain, sentence

DID = {"add": "put in", "remove": "taken out", "put": "set", "delete": "deleted", "undo": "undone"}


def sentence_of(change: Change) -> str:
    """Describe a change in one line; Markdown."""
    new = ", new" if change.before is None else ""
    return f"**{plain(change.item)}** {DID[change.action]}: {change.before or 0} → {change.after or 0}{new}"


def change_of(now: Item, action: str) -> str:
    """Return the journal's id of the change that led to this count; empty if later ones hide it. Raises LarderError."""
    changes = larder().journal(now.item, limit=10)
    return next((each.id for each in changes if (each.action, each.after) == (action, now.count)), "")


def undo_button(change: str, tip: str | None = None) -> None:
    """Draw a button that undoes a change; the page's `remarks` then report it."""
    st.button("Undo", key=f"undo {change}", icon=":material/undo:", help=tip, on_click=_undo, args=(change,))


def _undo(change: str) -> None:
    try:
        st.session_state.undone = f"Undone: {sentence_of(larder().undo(change))}."
    except LarderError as error:
        st.session_state.refused = sentence(error)


def remarks() -> None:
    """Report the last undo."""
    if done := st.session_state.pop("undone", None):
        st.success(done, icon=":material/undo:")
    if why := st.session_state.pop("refused", None):
        st.warning(why, icon=":material/warning:")
