"""The page Review: label the pictures that the service was not sure of, with one click each."""

import io

import streamlit as st
from larder_client import Labelled, Larder, LarderError, NotFound, Review, Unsure

from app.ui.bars import percent
from app.ui.connection import larder, ready
from app.ui.naming import is_name, labels
from app.ui.picking import Picked, preview
from app.ui.sentences import link, plain, said, when

AT_ONCE = 12  # entries on one page
GUESSES = 3  # of each, as buttons


def settle(entry: Unsure, item: str | None) -> None:
    """Label an entry, or dismiss it if there is no label; then show the others."""
    try:
        if item is None:
            larder().dismiss(entry.id)
            st.session_state.update(settled=None, dismissed=True)
        elif is_name(item):
            st.session_state.update(settled=larder().label(entry.id, item), dismissed=False)
        else:
            return
    except NotFound:
        st.session_state.update(settled=None, dismissed=False)  # labelled by somebody else meanwhile: list the others
    st.rerun()


def told(made: Labelled) -> None:
    """Report what a label did, and offer to undo it."""
    pictures = "1 picture" if len(made.taught) == 1 else f"{len(made.taught)} pictures"
    kept = " The service keeps what was shown, to train on." if made.pictures_kept else ""
    st.success(f"**{plain(made.item)}** was taught by {pictures}.{kept}", icon=":material/check_circle:")
    if st.button("Take it back", icon=":material/undo:"):
        for example in made.taught:
            larder().forget(made.item, example.id)
        st.session_state.update(settled=None, taken_back=made.item)
        st.rerun()


def remarks() -> None:
    """Report the last action."""
    if made := st.session_state.get("settled"):
        told(made)
    elif st.session_state.pop("dismissed", False):
        st.success("Dismissed: what looks the same is not asked for again.", icon=":material/check_circle:")
    if item := st.session_state.pop("taken_back", None):
        st.success(f"{plain(item)} has forgotten it. The page Teach has what else it knows.", icon=":material/undo:")


@st.cache_data(max_entries=100, ttl=600, show_spinner=False)
def picture(_larder: Larder, url: str, id: str) -> bytes:
    """Fetch a small copy of an entry's first picture from the service at `url`, for a card."""
    small, _ = preview(Picked(f"{url} {id}", _larder.review_picture(id)))
    small.thumbnail((480, 480))
    file = io.BytesIO()
    small.convert("RGB").save(file, "JPEG", quality=85)
    return file.getvalue()


def show(entry: Unsure, number: int) -> None:
    """Draw the picture if it is kept, and the entry's facts."""
    if entry.pictures:
        try:
            st.image(picture(larder(), larder().url, entry.id), alt=f"picture {number}", width="stretch")
        except LarderError:
            st.caption("The picture is gone.")
    else:
        st.caption(
            ":material/hide_image: No picture is kept of it. A service that runs with `LARDER_KEEP_PICTURES=true` "
            "keeps the pictures that it is not sure of, and shows them here."
        )
    facts = [when(entry.at)]
    if entry.known is False:
        facts.append("none of the labels fits")
    if entry.pictures > 1:
        facts.append(f"the first of {entry.pictures} pictures of it")
    if entry.seen > 1:
        facts.append(f"seen {entry.seen} times")
    st.caption(" · ".join(facts))


def card(entry: Unsure, number: int, names: list[str]) -> None:
    """Draw an entry: the best guesses as buttons, an input for another name, and a way to dismiss it."""
    with st.container(border=True):
        show(entry, number)
        with st.container(horizontal=True):
            for item, score in list(zip(entry.top_k_items, entry.top_k_scores, strict=True))[:GUESSES]:
                if st.button(f"{plain(item)} {percent(score)}", key=f"{entry.id} {item}"):
                    settle(entry, item)
        typed = st.selectbox(
            f"Another name for picture {number}",
            names,
            index=None,
            key=f"name {entry.id}",
            placeholder="Choose or type another name",
            accept_new_options=True,
            filter_mode="contains",
            label_visibility="collapsed",
        )
        if typed:
            settle(entry, typed.strip())
        if st.button("Dismiss", key=f"dismiss {entry.id}", icon=":material/close:", type="tertiary"):
            settle(entry, None)


def listing(found: Review) -> None:
    """List the entries, most informative first."""
    if not found:
        st.info(
            "Nothing to review. Pictures that the service does not recognise for sure come here by themselves.",
            icon=":material/done_all:",
        )
        return
    waiting = "1 thing is waiting" if found.total == 1 else f"{found.total} things are waiting"
    st.markdown(f"**{waiting}**, what teaches most first")
    names = labels()
    with st.grid(min_column_width=260) as grid:
        for number, entry in enumerate(found, start=1):
            with grid.cell():
                card(entry, number, names)


def page() -> None:
    """Label the pictures that were not recognised confidently."""
    st.caption(
        "Pictures that were not recognised for sure. Press what it is, or choose or type another name: that teaches it "
        "at once. Near-duplicates are shown once."
    )
    ready()
    with said():
        remarks()
        listing(larder().review(AT_ONCE))
    link("Report", "How good is what was taught?", ":material/fact_check:")
