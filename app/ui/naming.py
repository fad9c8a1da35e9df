"""Let a person name an item: an existing label or a new one."""

from contextlib import suppress

import streamlit as st
from larder_client import LarderError

from app.ui.connection import larder


def choose_item(label: str, key: str | None = None) -> str:
    """The item that was chosen or typed; empty as long as there is none. `key` tells equal labels apart."""
    item = st.selectbox(
        label,
        labels(),
        index=None,
        key=key or label,  # what was chosen stays when there are new labels
        placeholder="Choose one, or type a new one",
        accept_new_options=True,
        filter_mode="contains",
    )
    return (item or "").strip()


def labels() -> list[str]:
    """The labels of the service, sorted; those of the last time where it is away, which is said elsewhere."""
    with suppress(LarderError):
        st.session_state.labels = sorted(each.label for each in larder().labels())
    known: list[str] = st.session_state.get("labels", [])
    return known


def is_name(item: str) -> bool:
    """Whether it can be an item's name; where not, that is said."""
    good = bool(item.strip()) and "/" not in item
    if not good:
        st.warning("An item needs a name, without a slash.", icon=":material/warning:")
    return good
