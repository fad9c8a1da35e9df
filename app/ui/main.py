"""The entry point of the pages: `streamlit run app/ui/main.py`.

`LARDER_URL` names the service (http://127.0.0.1:8000), `LARDER_API_KEY` its key, `LARDER_DATA_SET` the pictures of the
page Data set.
"""

import sys
from pathlib import Path

import streamlit as st

# room for a gallery, readable line lengths, small print as dark as WCAG requires; picture and answer fit on a phone
STYLE = """<style>
.stMainBlockContainer {max-width: 72rem; padding-top: 4.5rem}
[data-testid="stCaptionContainer"] {color: #51605a; opacity: 1}
@media (max-width: 640px) {.st-key-shown img {max-height: 20vh; object-fit: contain}}
</style>"""


def main() -> None:
    """Show the chosen page; errors of the service are shown on it."""
    root = Path(__file__).parents[2]
    sys.path += {str(root), str(root / "client")} - set(sys.path)  # a checkout runs without installation
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
    from app.ui.sentences import said

    pages = [
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
    st.session_state.pages = {each.title: each for each in pages}  # for links between them
    page = st.navigation(pages, position="top")
    st.set_page_config(page_title=f"{page.title} · Larder", page_icon=str(root / "samples/banana.jpg"), layout="wide")
    st.html(STYLE)
    st.title(page.title)
    with said():
        page.run()


if __name__ == "__main__":
    main()
