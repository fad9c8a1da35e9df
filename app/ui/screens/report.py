"""The page Report: the accuracy of few-shot labels, by leave-one-out."""

import streamlit as st
from larder_client import ExamplesReport, MisleadingExample

from app.ui.bars import percent
from app.ui.connection import larder, ready
from app.ui.sentences import link, plain, said, short


def summary(found: ExamplesReport) -> None:
    """Show how many examples the others recognise."""
    if not found.judged:
        st.info(
            "Nothing to judge yet: an item needs two examples or more. The page Teach takes them.",
            icon=":material/school:",
        )
    elif found.right == found.judged:
        st.success(f"All {found.judged} examples are recognised by the others.", icon=":material/check_circle:")
    else:
        share = percent(found.right / found.judged)
        st.warning(
            f"**{found.right} of {found.judged}** examples are recognised by the others: {share}.",
            icon=":material/fact_check:",
        )
    if found.unused:
        st.caption(f"{found.unused} more are of another model, and not used.")


def misleading(found: list[MisleadingExample]) -> None:
    """List examples that may be mistakes, with a form to forget them."""
    if done := st.session_state.pop("forgotten", None):
        st.success(done, icon=":material/delete:")
    if not found:
        return
    st.header("Examples that may mislead")
    st.caption("Without itself each of them looks like something else. One that is only unusual is worth keeping.")
    st.table(
        {
            "Example": [short(each.id) for each in found],
            "Taught as": [plain(each.item) for each in found],
            "Looks like": [plain(each.looks_like) for each in found],
            "Forgetting it helps": [str(max(0, each.improves)) for each in found],
        },
        hide_index=True,
        border="horizontal",
        alt="Examples that may mislead, and how many other examples were right without each",
    )
    names = {each.id: f"{short(each.id)}: {each.item}" for each in found}
    items = {each.id: each.item for each in found}
    with st.form("forget"):
        chosen = st.multiselect("Examples to forget", list(names), format_func=names.__getitem__)
        pressed = st.form_submit_button("Forget", icon=":material/delete:")
    if pressed and chosen:
        count = sum(larder().forget(items[id], id) for id in chosen)
        st.session_state.forgotten = f"{'1 example was' if count == 1 else f'{count} examples were'} forgotten."
        st.rerun()


def mistaken(found: ExamplesReport) -> None:
    """Show which items are confused, and which look alike."""
    if found.confusions:
        st.header("Taken for each other")
        st.table(
            {
                "Item": [plain(each.item) for each in found.confusions],
                "Taken for": [plain(each.taken_for) for each in found.confusions],
                "Examples": [str(each.count) for each in found.confusions],
            },
            hide_index=True,
            border="horizontal",
            alt="How many examples of an item are taken for another one",
        )
    if found.look_alike:
        st.header("Look alike")
        st.caption("Teach these by pictures of what differs.")
        st.table(
            {
                "Item": [plain(each.item) for each in found.look_alike],
                "Other": [plain(each.other) for each in found.look_alike],
                "Cosine": [f"{each.similarity:.2f}" for each in found.look_alike],
            },
            hide_index=True,
            border="horizontal",
            alt="Items that look alike",
        )


def items(found: ExamplesReport) -> None:
    """List every taught item, those with most misrecognised examples first."""
    if not found.items:
        return
    st.header("Items")
    order = sorted(found.items, key=lambda each: 1.0 if each.right is None else each.right / each.examples)
    st.table(
        {
            "Item": [plain(each.item) for each in order],
            "Examples": [str(each.examples) for each in order],
            "Recognised by the others": ["only one" if each.right is None else str(each.right) for each in order],
        },
        hide_index=True,
        border="horizontal",
        alt="The items that were taught, and how many of their examples the others recognise",
    )


def page() -> None:
    """Show the leave-one-out report of the examples."""
    st.caption("Each example is left out once and recognised by all others, as a picture would be.")
    ready()
    with said():
        found = larder().examples_report()
        summary(found)
        left, right = st.columns(2, gap="large")
        with left:
            items(found)
        with right:
            misleading(found.misleading)
            mistaken(found)
    link("Teach", "Teach an item", ":material/school:")
