"""The page Teach: few-shot examples of an item."""

import streamlit as st
from larder_client import Example, NotFound

from app.ui.connection import larder, ready
from app.ui.naming import choose_item, is_name
from app.ui.picking import Picked, choose_source, few_enough, named_errors, pictures_from, show
from app.ui.sentences import link, plain, said, short, when

MOST = 32  # pictures at once


def choose_pictures() -> tuple[list[Picked], bool]:
    """Return the chosen pictures, and whether Teach was pressed; they stay chosen until they were taught."""
    st.header("New pictures")
    source = choose_source()
    with st.form(f"teach {st.session_state.setdefault('turn', 0)}"):
        return pictures_from(source, MOST), st.form_submit_button("Teach", icon=":material/school:", type="primary")


def teach(item: str, pictures: list[Picked]) -> None:
    """Teach an item, then show an empty form."""
    if not pictures:
        st.warning("Choose or take a picture first.", icon=":material/warning:")
    elif few_enough(pictures, MOST):
        with named_errors(pictures):
            examples = larder().teach(item, [each.data for each in pictures])
        st.session_state.update(turn=st.session_state.turn + 1, lesson=(pictures, examples))
        st.rerun()


def gallery(item: str, pictures: list[Picked], examples: list[Example]) -> None:
    """Draw the pictures that were just taught, each with its warning."""
    count = "1 picture" if len(pictures) == 1 else f"{len(pictures)} pictures"
    st.success(
        f"**{plain(item)}** was taught by {count}. Try it on the page Recognise.", icon=":material/check_circle:"
    )
    with st.grid(min_column_width=120) as grid:
        for picture, example in zip(pictures, examples, strict=True):
            with grid.cell():
                show(picture)
                against = remark(example)
                st.caption(f":material/warning: {short(example.id)}: {against}" if against else short(example.id))
    if any(map(remark, examples)):
        st.warning(
            "All of them count. One that is nearly the same as another adds little; one that looks like something else "
            "may be a mistake, unless that is just what it corrects. Forget those that are wrong.",
            icon=":material/warning:",
        )


def taught(item: str) -> None:
    """List the existing examples, with a form to forget some."""
    st.header("Its examples")
    if done := st.session_state.pop("forgotten", None):
        st.success(done, icon=":material/delete:")
    try:
        examples = larder().taught(item)
    except NotFound:
        examples = []
    if not examples:
        st.info(
            f"{plain(item)} has none yet. Five pictures from different sides are a good beginning.",
            icon=":material/school:",
        )
        return
    table = {
        "Example": [short(each.id) for each in examples],
        "Taught": [when(each.taught_at) for each in examples],
        "Remark": [remark(each) for each in examples],
    }
    st.table(table, hide_index=True, border="horizontal", alt="The examples of the item")
    forget(item, [each.id for each in examples])
    link("Report", "How good is what was taught?", ":material/fact_check:")


def forget(item: str, ids: list[str]) -> None:
    """Forget some examples or all."""
    with st.form("forget"):
        chosen = st.multiselect("Examples to forget", ids, format_func=short)
        pressed = st.form_submit_button("Forget", icon=":material/delete:")
    if pressed and chosen:
        everything = len(chosen) == len(ids)
        count = larder().forget(item) if everything else sum(larder().forget(item, id) for id in chosen)
        st.session_state.forgotten = f"{'1 example was' if count == 1 else f'{count} examples were'} forgotten."
        st.rerun()


def remark(example: Example) -> str:
    """Describe what is wrong with an example; empty if nothing is."""
    if not example.used:
        return "of another model, not used"
    remarks = []
    if example.near_duplicate_of:
        remarks.append(f"nearly the same as {short(example.near_duplicate_of)}")
    if example.contradicts:
        remarks.append(f"looks like {plain(example.contradicts)}")
    return ", ".join(remarks)


def page() -> None:
    """Teach an item by pictures of it."""
    st.caption(
        "Teach an item by pictures of it: within a second it is recognised by them, whatever its name. The service "
        "keeps what it learnt of the pictures, never the pictures."
    )
    item = choose_item("Item")
    if not item or not is_name(item):
        ready()
        st.info("Choose an item, or type the name of a new one.", icon=":material/label:")
        return
    left, right = st.columns(2, gap="large")
    with left:
        pictures, pressed = choose_pictures()
    ready()  # at the end: a widget that is not drawn again loses its value
    with left, said():
        if pressed:
            teach(item, pictures)
        if lesson := st.session_state.pop("lesson", None):
            gallery(item, *lesson)
    with right, said():
        taught(item)
