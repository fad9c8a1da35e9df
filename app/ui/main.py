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
    from app.ui.screens import pages
    from app.ui.sentences import said

    every = pages()
    st.session_state.pages = {each.title: each for each in every}  # for links between them
    page = st.navigation(every, position="top")
    st.set_page_config(page_title=f"{page.title} · Larder", page_icon=str(root / "samples/banana.jpg"), layout="wide")
    st.html(STYLE)
    st.title(page.title)
    with said():
        page.run()


if __name__ == "__main__":
    main()
