"""Change the pantry, report the result in a sentence, and undo it."""

from collections.abc import Mapping

import streamlit as st
from larder_client import Change, Item, LarderError, NotFound

from app.ui.connection import larder
from app.ui.naming import is_name
from app.ui.sentences import link, plain, said, sentence

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


def add(item: str, quantity: int) -> None:
    """Add a quantity of an item."""
    if not is_name(item):
        return
    with said():
        now = larder().add(item, quantity)
        st.success(f"Added {quantity}: the pantry has {now.count} of {plain(now.item)} now.", icon=":material/add:")
        _offer_undo(now, "add")


def take_out(item: str, quantity: int) -> None:
    """Remove a quantity of an item, at most what is there."""
    with said():
        now = larder().remove(item, quantity)
        st.success(
            f"Took out {now.removed}: the pantry has {now.count} of {plain(now.item)} now.", icon=":material/remove:"
        )
        _offer_undo(now, "remove")


def _offer_undo(now: Item, action: str) -> None:
    if change := change_of(now, action):
        undo_button(change)


def delete(item: str) -> None:
    """Delete an item from the pantry."""
    with said():
        larder().delete(item)
        st.success(f"{plain(item)} is no longer in the pantry.", icon=":material/delete:")


def change_all(quantities: Mapping[str, int], put_in: bool) -> None:
    """Add or remove a quantity of each item; report what was done even when a later change fails."""
    after: list[Item] = []
    with said():
        try:
            for item, quantity in quantities.items():
                after.append(larder().add(item, quantity) if put_in else _left(item, quantity))
        finally:
            if after:
                done, icon = ("Added", ":material/add:") if put_in else ("Took out", ":material/remove:")
                now = ", ".join(f"{each.count} of {plain(each.item)}" for each in after)
                st.success(f"{done}: the pantry has {now} now.", icon=icon)
                link("Journal", "The journal undoes each of these changes", ":material/undo:")


def _left(item: str, quantity: int) -> Item:
    """Return an item after a removal; a missing item has 0 left."""
    try:
        return larder().remove(item, quantity)
    except NotFound:
        return Item(item, 0)
