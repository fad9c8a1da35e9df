"""Links between the pages."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage


def link(title: str, text: str, icon: str) -> None:
    """Draw a link to the page with this title; nothing if a page runs outside of app/ui/main.py."""
    pages: dict[str, StreamlitPage] = st.session_state.get("pages", {})
    if page := pages.get(title):
        st.page_link(page, label=text, icon=icon)
