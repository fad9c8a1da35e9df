"""Show the items found on a shelf: boxes over the picture, a list beside it."""

from collections.abc import Sequence

import streamlit as st
from larder_client import Found
from PIL import Image, ImageDraw, ImageFont

from app.ui import counts
from app.ui.bars import percent
from app.ui.connection import larder
from app.ui.picking import Picked, preview
from app.ui.sentences import plain

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
            listing(things)
            counting(things, number)
        else:
            st.info("**Nothing** is seen for sure.", icon=":material/help:")
        st.caption(
            "Seen through tiles, so a box is a tile and no outline; only sure answers count. What is smaller than a "
            "quarter of the picture's shorter side is missed: go nearer."
        )


def place(thing: Found) -> list[int]:
    """Sort key of an item in reading order: from above, then from the left."""
    return min([top, left] for left, top, _, _ in thing.boxes)


def listing(things: list[Found]) -> None:
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


def counting(things: list[Found], number: int) -> None:
    """Add the whole list to the pantry or take it out, when the counts are right."""
    with st.form(f"counting {number}"):
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
