"""What a picture shows among the live labels, as a page."""

import streamlit as st
from larder_client import Recognition

from app.ui import counts
from app.ui.bars import bars, decimals, percent
from app.ui.connection import larder, ready
from app.ui.picking import pick, show
from app.ui.sentences import plain


def verdict(found: Recognition) -> None:
    """Sure, unsure and unknown each with a colour, a sign and a word of its own."""
    item = plain(found.item)
    if found.known is False:
        st.info(
            f"**Unknown:** none of the {found.label_count} labels fits. The nearest is {item}.", icon=":material/help:"
        )
    elif found.confident:
        st.success(f"**Confident:** {item}", icon=":material/check_circle:")
    else:
        st.warning(f"**Unsure:** perhaps {item}", icon=":material/warning:")


def ranking(found: Recognition) -> None:
    """The best labels and how to read their numbers."""
    scores = [percent(score) for score in found.top_k_scores]
    others = {"Score": scores, "Cosine": decimals(found.top_k_cosines)}
    bars("Label", found.top_k_items, found.top_k_probabilities, others)
    right = None if found.known is False else found.calibrated_probability  # it was fitted on known pictures
    st.caption(
        ("" if right is None else f"By the model's calibration the first is right in {percent(right)} of such cases. ")
        + f"Probability: a softmax over all {found.label_count} labels. Score: the same among these {len(scores)} "
        "alone, so it looks surer than it is; above 80 % is confident. Cosine: nearness, before any softmax."
    )


def counting(item: str) -> None:
    """Put the item into the pantry or take it out; nothing happens before a button is pressed."""
    with st.form("counting"):
        st.header("In the pantry")
        left, right = st.columns([3, 1])
        name = left.text_input("Item", value=item, max_chars=200)
        quantity = right.number_input("How many", min_value=1, value=1)
        with st.container(horizontal=True):
            add = st.form_submit_button("Add to the pantry", icon=":material/add:", type="primary")
            take = st.form_submit_button("Take out", icon=":material/remove:")
    if add:
        counts.add(name, quantity)
    if take:
        counts.take_out(name, quantity)


def page() -> None:
    """From a picture to its item, and into the pantry."""
    st.caption("What does a picture show? The candidates are the labels of the service and the items of its pantry.")
    picked = pick("to see what it shows. It goes to the service and is not kept.")
    ready()
    if picked:
        recognition = larder().recognise(picked.data)
        beside, answer = st.columns([2, 3], gap="large")
        with beside:
            show(picked)
        with answer:
            verdict(recognition)
            ranking(recognition)
            counting(recognition.item)
