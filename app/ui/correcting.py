"""The correction form below an answer."""

import time

import streamlit as st
from larder_client import Correction, Recognition

from app.ui.connection import larder
from app.ui.naming import choose_item, is_name
from app.ui.sentences import plain, said

IN_FORCE = 1  # second within which the service knows what it was taught


def correct(found: Recognition) -> bool:
    """Ask for the right item and tell the service; whether it was taught, so that another answer is to be expected."""
    with st.form("correcting", clear_on_submit=True):
        st.header("Not right?")
        item = choose_item("It is")
        at_once = st.toggle("Teach it at once, by what was shown", value=True)
        pressed = st.form_submit_button("Send the correction", icon=":material/edit:")
    if not pressed or not is_name(item):
        return False
    with said():
        told(larder().feedback(found.request_id, item, at_once))
        if at_once:
            with st.spinner("Learning"):
                time.sleep(IN_FORCE)
        return at_once
    return False


def told(made: Correction) -> None:
    """Report what the service did with the correction."""
    item, answered = plain(made.item), plain(made.answered)
    noted = f"Noted: **{item}**, as was answered." if made.right else f"Noted: **{item}**, not {answered}."
    if made.taught:
        noted += " It was taught at once, and the answer above is the new one. The page Teach undoes it."
    if made.pictures_kept:
        noted += " The service keeps what was shown, to train on."
    st.success(noted, icon=":material/check_circle:")
