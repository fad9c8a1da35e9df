"""The pages, in the order of the navigation."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.ui.screens import (
    classify,
    compare,
    continuous,
    data_set,
    duplicates,
    journal,
    pantry,
    recognise,
    report,
    review,
    search,
    service,
    teach,
)


def pages() -> list[StreamlitPage]:
    """Return all pages."""
    return [
        st.Page(recognise.page, title="Recognise", default=True),
        st.Page(continuous.page, title="Continuous", url_path="continuous"),
        st.Page(pantry.page, title="Pantry", url_path="pantry"),
        st.Page(journal.page, title="Journal", url_path="journal"),
        st.Page(teach.page, title="Teach", url_path="teach"),
        st.Page(review.page, title="Review", url_path="review"),
        st.Page(report.page, title="Report", url_path="report"),
        st.Page(search.page, title="Search", url_path="search"),
        st.Page(duplicates.page, title="Duplicates", url_path="duplicates"),
        st.Page(classify.page, title="Classify", url_path="classify"),
        st.Page(service.page, title="Service", url_path="service"),
        st.Page(data_set.page, title="Data set", url_path="data-set"),
        st.Page(compare.page, title="Compare", url_path="compare"),
    ]
