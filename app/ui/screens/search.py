"""The page Search: find entries by text or picture, and add entries."""

import hashlib
import re
from pathlib import PurePosixPath, PureWindowsPath
from textwrap import shorten
from typing import Any

import streamlit as st
from larder_client import Hit, NotFound, Query, Refused

from app.ui.connection import larder, ready
from app.ui.picking import KINDS, pick
from app.ui.sentences import plain, said, sentence

LONGEST = 300  # characters of a text, or of an entry's metadata, on its card
TYPES = {"Texts and pictures": None, "Pictures": "image", "Texts": "text"}


def ask() -> Query | None:
    """Return the query; None until one is given."""
    like = st.session_state.get("like")
    if like:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.info(f"More like **{plain(like)}**", icon=":material/hub:", width=400)
            st.button("Back to my question", on_click=st.session_state.pop, args=("like",))
        return Query(id=like)
    kinds = ["A text", "A picture"]
    if st.segmented_control("Look for what is like", kinds, default=kinds[0], required=True) == kinds[0]:
        text = st.text_input("Text", placeholder="something sweet", max_chars=1000).strip()
        return Query(text) if text else None
    picked = pick("to find entries that are like it.")
    return Query(picture=picked.data) if picked else None


def weigh() -> list[Query]:
    """Return further positive and negative query terms."""
    plus, minus = st.columns(2)
    more = plus.text_input("And more like", placeholder="green", max_chars=1000).strip()
    less = minus.text_input("But less like", placeholder="an apple", max_chars=1000).strip()
    return [Query(text, weight=weight) for text, weight in ((more, 1.0), (less, -1.0)) if text]


def narrow() -> dict[str, Any]:
    """Return the filters: number, minimum similarity, type and collection."""
    kinds, where, most, least = st.columns(4)
    return {
        "only": TYPES[kinds.selectbox("Find", TYPES)],
        "collection": where.text_input("In the collection", placeholder="all of them", max_chars=200).strip() or None,
        "k": most.slider("At most", 1, 50, 10),
        "min_score": least.slider("Cosine at least", -1.0, 1.0, -1.0, 0.05, help="-1 leaves out nothing"),
    }


def gallery(hits: list[Hit]) -> None:
    """The hits as cards, best first."""
    if not hits:
        st.info(
            "Nothing was found there. Ask for a smaller cosine, look in another collection, or add entries first.",
            icon=":material/search_off:",
        )
    with st.grid(min_column_width=150) as grid:
        for hit in hits:
            with grid.cell():
                card(hit)


def card(hit: Hit) -> None:
    """Draw one hit: picture or text, cosine similarity and metadata, and a button to find similar ones."""
    try:
        if hit.type == "image":
            st.image(larder().thumbnail(hit.id), alt=f"picture {hit.id}", width="stretch")
        else:
            st.markdown(f"“{plain(shorten(larder().content(hit.id).text or '', LONGEST, placeholder=' …'))}”")
    except NotFound:
        st.caption("Kept without a thumbnail.")
    st.markdown(f"Cosine **{hit.score:.3f}**")
    facts = [
        f"{key}: {_short(value)}"
        for key, value in hit.metadata.items()
        if not isinstance(value, (dict, list)) and _short(value) not in hit.id  # a file's name is shown once
    ]
    st.caption(plain(shorten(" · ".join([*facts, hit.id]), LONGEST, placeholder=" …")))
    st.button("More like this", key=f"more {hit.id}", on_click=st.session_state.update, args=({"like": hit.id},))


def _short(value: object) -> str:
    r"""Shorten a metadata value: the last part of an absolute path on the service's machine. The id has the rest.

    >>> _short("/home/me/photos"), _short("C:\\photos"), _short("and/or"), _short(2)
    ('photos', 'photos', 'and/or', '2')
    """
    text = str(value)
    path = PureWindowsPath(text) if re.match(r"[A-Za-z]:[\\/]", text) else PurePosixPath(text)
    return path.name if path.is_absolute() and path.name else text


def add() -> None:
    """Store pictures and a text; failures are listed and do not stop the others."""
    with st.form("add", clear_on_submit=True):
        files = st.file_uploader("Pictures", KINDS, accept_multiple_files=True)
        text = st.text_area("Or a text", max_chars=10_000).strip()
        collection = st.text_input("Into the collection", value="default", max_chars=180).strip()
        pressed = st.form_submit_button("Add", icon=":material/add:", type="primary")
    if not pressed:
        return
    if not collection or not (files or text):
        st.warning("Choose pictures or write a text, and name the collection.", icon=":material/warning:")
        return
    bad = []
    if files:
        bar = st.progress(0.0, "Adding")
    for done, file in enumerate(files, start=1):
        try:
            put(file.name, file.getvalue(), collection)
        except Refused as error:
            bad.append(f"{plain(file.name)}: {sentence(error)}")
        bar.progress(done / len(files), f"{done} of {len(files)} pictures")
    if text:
        larder().put_text(f"{collection}/{digest(text.encode())}", text, collection=collection)
    added = len(files) - len(bad) + bool(text)
    if added:
        st.success(f"Added {added} to {plain(collection)}.", icon=":material/check_circle:")
    if bad:
        st.warning("Left out:\n" + "".join(f"\n- {each}" for each in bad), icon=":material/warning:")


def put(name: str, data: bytes, collection: str) -> None:
    """Store a picture under its digest, so that the same one twice is one entry."""
    larder().put_picture(f"{collection}/{digest(data)}", data, metadata={"file": name}, collection=collection)


def digest(data: bytes) -> str:
    """Return a short digest of these bytes."""
    return hashlib.sha256(data).hexdigest()[:12]


def page() -> None:
    """Search entries, and add some."""
    st.caption("Find what is kept. Describe it in words, or show a similar picture.")
    ready()
    find, keep = st.tabs(["Find", "Add"])
    with keep, said():
        add()
    with find, said():
        question, others, limits = ask(), weigh(), narrow()
        count = larder().count_contents()
        if not count:
            st.info("Nothing is kept yet: add pictures or texts first.", icon=":material/inventory_2:")
        elif question:
            gallery(larder().search(queries=[question, *others], **limits))
        else:
            st.info(f"{count:,} entries are kept. Write what you look for.", icon=":material/search:")
