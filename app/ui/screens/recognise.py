"""The page Recognise: recognise pictures among the live labels."""

import time
from collections.abc import Sequence

import streamlit as st
from larder_client import Correction, Found, Frames, Recognition
from PIL import Image, ImageDraw, ImageFont

from app.ui import counts
from app.ui.bars import bars, decimals, percent
from app.ui.connection import larder, ready
from app.ui.counts import remarks
from app.ui.naming import choose_item, is_name
from app.ui.picking import (
    Picked,
    choose_source,
    few_enough,
    hint,
    named_errors,
    pictures_from,
    preview,
    recognise,
    show,
)
from app.ui.sentences import plain, said

INK, PAPER = "#1d4a37", "#ffffff"


def shelf(picked: Picked, number: int) -> None:
    """Search the picture with this number, show the findings, and offer to count them all."""
    things = sorted(larder().recognise_shelf(picked.data), key=place)
    picture, beside = st.columns([3, 2], gap="large")
    with picture:
        boxes = [box for thing in things for box in thing.boxes]
        st.image(boxed(picked, boxes), alt=f"{picked.name}, with {len(boxes)} numbered boxes", width="stretch")
    with beside:
        if things:
            list_found(things)
            count_found(things, number)
        else:
            st.info("**Nothing** is seen for sure.", icon=":material/help:")
        st.caption(
            "Seen through tiles, so a box is a tile and no outline; only sure answers count. What is smaller than a "
            "quarter of the picture's shorter side is missed: go nearer."
        )


def place(thing: Found) -> list[int]:
    """Sort key of an item in reading order: from above, then from the left."""
    return min([top, left] for left, top, _, _ in thing.boxes)


def list_found(things: list[Found]) -> None:
    """List the items with their counts, and the boxes that show them."""
    total = sum(thing.count for thing in things)
    st.success(f"**Found:** {total} {'thing' if total == 1 else 'things'}", icon=":material/check_circle:")
    numbers = iter(range(1, total + 1))
    table = {
        "Item": [plain(thing.item) for thing in things],
        "Count": [thing.count for thing in things],
        "Boxes": [", ".join(str(next(numbers)) for _ in thing.boxes) for thing in things],
        "Probability": [", ".join(map(percent, thing.probabilities)) for thing in things],
    }
    st.table(table, hide_index=True, border="horizontal", alt="What was found in the picture")


@st.fragment  # its buttons do not recognise the picture again, which could change the form
def count_found(things: list[Found], number: int) -> None:
    """Add the whole list to the pantry or take it out, when the counts are right."""
    with st.form(f"count_found {number}", enter_to_submit=False):  # or Enter in one number adds all
        st.header("In the pantry")
        with st.grid(min_column_width=150):
            quantities = {
                thing.stored_as: st.number_input(plain(thing.stored_as), min_value=0, value=thing.count)
                for thing in things
            }
        with st.container(horizontal=True):
            add = st.form_submit_button("Add all to the pantry", icon=":material/add:", type="primary")
            take = st.form_submit_button("Take all out", icon=":material/remove:")
    if add or take:
        counts.change_all({item: quantity for item, quantity in quantities.items() if quantity}, put_in=add)


def boxed(picked: Picked, boxes: Sequence[Sequence[int]]) -> Image.Image:
    """Draw numbered boxes (left, top, right, bottom in pixels of the file) over the upright picture."""
    image, scale = preview(picked)
    pen, line = ImageDraw.Draw(image), max(2, max(image.size) // 200)
    font = ImageFont.load_default(max(10, max(image.size) // 20))
    for number, box in enumerate(boxes, start=1):
        left, top, right, bottom = (round(scale * each) for each in box)
        outer = left, top, max(left, right - 1), max(top, bottom - 1)
        pen.rectangle(outer, outline=PAPER, width=3 * line)
        if min(outer[2] - left, outer[3] - top) >= 2 * line:  # a smaller box has no room for a second outline
            pen.rectangle((left + line, top + line, outer[2] - line, outer[3] - line), outline=INK, width=line)
        _, _, wide, high = pen.textbbox((0, 0), str(number), font)
        pen.rectangle((left, top, left + wide + 6 * line, top + high + 4 * line), fill=INK, outline=PAPER, width=line)
        pen.text((left + 3 * line, top + line), str(number), PAPER, font)
    return image


FRAMES = 16  # pictures of one thing
ONE_THING = "One thing"
KINDS = {
    ONE_THING: "to see what it shows, or several of one thing.",
    "A shelf": "of several things to have them listed.",
}
IN_FORCE = 1  # second until the service uses what it was taught


def verdict(found: Recognition) -> None:
    """Show the answer; sure, unsure and unknown each have a colour, a sign and a word."""
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
    """Show the best labels and explain their numbers."""
    scores = [percent(score) for score in found.top_k_scores]
    others = {"Score": scores, "Cosine": decimals(found.top_k_cosines)}
    bars("Label", found.top_k_items, found.top_k_probabilities, others)
    sure = found.confident and found.known is not False  # a high figure beside "unsure" would contradict it
    right = found.calibrated_probability if sure else None
    st.caption(
        ("" if right is None else f"By the model's calibration the first is right in {percent(right)} of such cases. ")
        + f"Probability: a softmax over all {found.label_count} labels. Score: the same among these {len(scores)} "
        "alone, so it looks surer than it is; above 80 % is confident. Cosine: nearness, before any softmax."
    )


@st.fragment  # its buttons do not recognise the picture again
def counting(item: str) -> None:
    """Add the item to the pantry or take it out, when a button is pressed."""
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
    remarks()


def agreement(frames: Frames) -> None:
    """Show how many of several pictures agree on the item."""
    count, left_out = len(frames.used), frames.used.count(False)
    others = f" {left_out} left out, too unlike the others." if left_out else ""
    st.caption(
        f"Taken for {count} pictures of one thing. Agreement: {round(count * frames.agreement)} of {count}, each asked "
        f"about alone.{others}"
    )


def gallery(pictures: list[Picked], used: list[bool]) -> None:
    """Draw the pictures of one thing, with outliers marked."""
    with st.grid(min_column_width=120) as grid:
        for each, counts_in in zip(pictures, used, strict=True):
            with grid.cell():
                show(each)
                if not counts_in:
                    st.caption(":material/block: left out")


def one_thing(pictures: list[Picked]) -> None:
    """Recognise the item that all of the pictures show."""
    found = recognise(pictures)
    beside, answer = st.columns([2, 3], gap="large")
    with answer:
        above = st.container()
        if correct(found):
            found = recognise(pictures)
    with beside:
        if found.frames:
            gallery(pictures, found.frames.used)
        else:
            with st.container(key="shown"):  # app/ui/main.py bounds its height on a phone
                show(pictures[0])
    with above:
        verdict(found)
        if found.frames:
            agreement(found.frames)
        ranking(found)
        counting(found.stored_as)


def correct(found: Recognition) -> bool:
    """Send a correction to the service; returns whether it was taught, so that another answer is expected."""
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


def page() -> None:
    """Recognise pictures and count their items in the pantry."""
    st.caption("What does a picture show? The candidates are the labels of the service and the items of its pantry.")
    with st.container(horizontal=True, gap="medium"):
        kind = st.segmented_control("What it shows", list(KINDS), default=ONE_THING, required=True)
        source = choose_source()
    pictures = pictures_from(source, FRAMES)
    hint(source, pictures, f"{KINDS[kind]} It goes to the service, which keeps no pictures unless it is set to.")
    ready()
    if not pictures or not few_enough(pictures, FRAMES):
        return
    if kind == ONE_THING:
        one_thing(pictures)
        return
    for number, each in enumerate(pictures, start=1):
        with said(), named_errors([each]):
            shelf(each, number)
