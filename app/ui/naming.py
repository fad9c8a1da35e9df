"""Let a person name an item: an existing label or a new one."""

from contextlib import suppress

import streamlit as st
from larder_client import LarderError

from app.ui.connection import larder


def choose_item(label: str, key: str | None = None) -> str:
    """Return the chosen or typed item; empty if there is none yet. `key` distinguishes inputs with equal labels."""
    item = st.selectbox(
        label,
        labels(),
        index=None,
        key=key or label,  # keeps the choice when labels are added
        placeholder="Choose one, or type a new one",
        accept_new_options=True,
        filter_mode="contains",
    )
    return (item or "").strip()


def labels() -> list[str]:
    """Return the sorted labels of the service; the last known ones if it is away, which is reported elsewhere."""
    with suppress(LarderError):
        st.session_state.labels = sorted(each.label for each in larder().labels())
    known: list[str] = st.session_state.get("labels", [])
    return known


def is_name(item: str) -> bool:
    """Return whether this is a valid item name; show a warning if not."""
    good = bool(item.strip()) and "/" not in item
    if not good:
        st.warning("An item needs a name, without a slash.", icon=":material/warning:")
    return good
