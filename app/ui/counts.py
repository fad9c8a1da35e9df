"""Changes of the pantry, with what came of them said in a sentence."""

import streamlit as st

from app.ui.connection import larder
from app.ui.sentences import plain, said


def add(item: str, quantity: int) -> None:
    """Add so many of an item."""
    if not item.strip() or "/" in item:
        st.warning("An item needs a name, without a slash.", icon=":material/warning:")
        return
    with said():
        now = larder().add(item, quantity)
        st.success(f"Added {quantity}: the pantry has {now.count} of {plain(now.item)} now.", icon=":material/add:")


def take_out(item: str, quantity: int) -> None:
    """Take so many of an item, or as many as there are."""
    with said():
        now = larder().remove(item, quantity)
        st.success(
            f"Took out {now.removed}: the pantry has {now.count} of {plain(now.item)} now.", icon=":material/remove:"
        )


def delete(item: str) -> None:
    """Have the pantry forget an item."""
    with said():
        larder().delete(item)
        st.success(f"{plain(item)} is no longer in the pantry.", icon=":material/delete:")
