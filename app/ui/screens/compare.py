"""The page Compare: CLIP against a CNN, from the evaluation reports."""

import json
import re
from pathlib import Path
from typing import Any

import streamlit as st

from app.ui.bars import bars, percent
from app.ui.data_sets import EVALUATION
from app.ui.sentences import plain

TABLES = ["Differences", "Few pictures a class", "Most often confused", "Confidence as served", "Top-1 by class"]


def sections(page: str) -> dict[str, str]:
    r"""Split a Markdown page into sections by heading.

    >>> sections("# Top\n\n## One\n\nfirst\n\n## Two\n\nsecond\n")
    {'One': 'first', 'Two': 'second'}
    """
    parts = [part.partition("\n") for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]]
    return {heading.strip(): body.strip() for heading, _, body in parts}


def figures(report: dict[str, Any]) -> None:
    """Show the accuracy and cost of each classifier."""
    found = report["contestants"]
    others = {
        "Top-5": [percent(each["top_5"]) for each in found],
        "Calibration error": [f"{each['calibration_error']:.3f}" for each in found],
        "ms a picture": [f"{each['milliseconds']:.1f}" for each in found],
        "MB": [f"{each['megabytes']:.1f}" for each in found],
    }
    bars("Contestant", [each["name"] for each in found], [each["top_1"] for each in found], others, "Top-1")
    st.caption(
        f"{report['test']:,} test pictures of {len(report['classes'])} classes; the CLIP model is "
        f"{plain(report['model'])}, run by {plain(report['engine'])}. Milliseconds are of one processor core."
    )


def plots(page: str, folder: Path) -> None:
    """Show the plots of a report."""
    with st.grid(2, min_column_width=300) as grid:
        for caption, file in re.findall(r"!\[(.+)\]\((.+)\)", page):
            with grid.cell():
                st.image(folder / file, caption=caption, alt=caption, width="stretch")


def page() -> None:
    """Show a report of the evaluation: figures, text, plots."""
    st.caption("Learnt from names or from pictures, CLIP or a CNN: five ways, asked about the same test pictures.")
    files = [page.with_suffix(".json") for page in sorted(EVALUATION.glob("*.md"))]  # a report has both files
    reports = {json.loads(file.read_text())["title"]: file for file in files if file.exists()}
    if not reports:
        st.info("There are no reports here: `make evaluate` writes them.", icon=":material/bar_chart:")
        st.stop()
    title = st.segmented_control("Report", list(reports), default=next(iter(reports)), required=True)
    parts = sections(reports[title].with_suffix(".md").read_text())
    figures(json.loads(reports[title].read_text()))
    if "What they say" in parts:
        st.header("What they say")
        st.markdown(parts["What they say"])
    st.header("Plots")
    plots(parts["Plots"], EVALUATION)
    for heading in TABLES:
        with st.expander(heading):
            st.markdown(parts[heading])
