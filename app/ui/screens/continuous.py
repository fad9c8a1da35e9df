"""The page Continuous: one picture after another, one row per answer."""

import io
from dataclasses import dataclass, field

import streamlit as st
from larder_client import LarderError, Recognition

from app.ui.bars import percent
from app.ui.connection import larder, ready
from app.ui.counts import change_of
from app.ui.naming import choose_item, is_name
from app.ui.picking import KINDS, Picked, preview
from app.ui.sentences import link, plain, said, sentence

MOST = 200  # rows; older ones are dropped
SIDE = 96  # pixels per side of a row's picture
ALTERNATIVES = 3  # labels offered as buttons


@dataclass
class Row:
    """A picture, its answer and the changes made."""

    number: int
    name: str
    thumbnail: bytes | None
    found: Recognition | None
    problem: str = ""
    """The error instead of an answer; Markdown."""
    item: str = ""
    """The pantry's name of the counted item."""
    count: int = 0
    """The pantry's count of it at that time."""
    change: str = ""
    """The journal's id of the change."""
    taught: list[str] = field(default_factory=list)
    """The ids of the examples taught by the picture."""

    @property
    def sure(self) -> bool:
        """Return whether the answer is confident and known."""
        return bool(self.found and self.found.confident and self.found.known is not False)

    @property
    def names(self) -> list[str]:
        """Return the names to choose from, most probable first."""
        return [self.found.stored_as, *self.found.top_k_items[1:ALTERNATIVES]] if self.found else []

    def add(self, item: str) -> None:
        """Count the item; if it differs from the answer, also teach it by the picture. Raises LarderError."""
        if not self.found:
            return
        wrong = item != self.found.stored_as
        if wrong:
            item = larder().feedback(self.found.request_id, item).item  # in the pantry's spelling
        now = larder().add(item)
        self.item, self.count = now.item, now.count
        self.change = change_of(now, "add")
        if wrong or not self.sure:
            taught = larder().feedback(self.found.request_id, item, teach=True).taught or []
            self.taught = [each.id for each in taught]

    def undo(self) -> None:
        """Undo the count and the teaching. Raises LarderError."""
        while self.taught:
            larder().forget(self.item, self.taught[-1])
            self.taught.pop()
        larder().undo(self.change)
        self.item = self.change = ""


def rows() -> list[Row]:
    """Return all rows of this visitor, newest first."""
    found: list[Row] = st.session_state.setdefault("rows", [])
    return found


def answer(picture: Picked) -> None:
    """Recognise a picture and insert its row before the others; raises LarderError if the service is away."""
    number = st.session_state["row"] = st.session_state.get("row", 0) + 1
    try:
        row = Row(number, picture.name, _thumbnail(picture), larder().recognise(picture.data))
    except LarderError as error:
        row = Row(number, picture.name, None, None, problem=sentence(error))
    rows().insert(0, row)
    del rows()[MOST:]


def _thumbnail(picture: Picked) -> bytes | None:
    """Make a small JPEG; None if the picture cannot be decoded here."""
    try:
        image, _ = preview(picture)
    except Exception:  # decoders raise a dozen kinds of errors; the service judges the picture
        return None
    image.thumbnail((2 * SIDE, 2 * SIDE))
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG")
    return file.getvalue()


def take(source: str) -> None:
    """Recognise the chosen or taken pictures, and clear the input at once for the next."""
    turn = st.session_state.setdefault("continuous", 0)
    if source == "Camera":
        files = [st.camera_input("A photo", key=f"camera {turn}")]
    else:
        files = [*st.file_uploader("Picture files", KINDS, accept_multiple_files=True, key=f"files {turn}")]
    pictures = [Picked(file.name, file.getvalue()) for file in files if file]
    if not pictures:
        return
    bar = st.progress(0.0, "Recognising")
    for done, each in enumerate(pictures, start=1):
        answer(each)
        bar.progress(done / len(pictures), f"Recognised {done} of {len(pictures)}")
    st.session_state.continuous = turn + 1
    st.rerun()


def show(row: Row, newest: bool) -> None:
    """Draw a row: picture, answer, actions."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"row {row.number}"):
        if row.thumbnail:
            st.image(row.thumbnail, width=SIDE, alt=row.name)
        with st.container(width=260):
            st.markdown(verdict(row))
        with said(), st.container(horizontal=True, width="content"):
            if row.item:
                undoing(row, newest)
            elif row.found:
                adding(row, newest)


def verdict(row: Row) -> str:
    """Describe a row and what was done with it; Markdown."""
    found = row.found
    if found is None:
        return f":material/error: {plain(row.name)}: {row.problem}"
    if row.item:
        taught = " It was taught by this picture." if row.taught else ""
        return f":material/check_circle: **{plain(row.item)}** added: {row.count} now.{taught}"
    score = percent(found.top_k_scores[0])
    if found.known is False:
        return f":material/help: **Unknown**, nearest is {plain(found.item)}"
    if not found.confident:
        return f":material/warning: **Unsure**, perhaps {plain(found.item)}, {score}"
    return f":material/check: **{plain(found.item)}**, {score}"


def adding(row: Row, newest: bool) -> None:
    """Draw a button for each of the best labels, and an input for any other item."""
    for place, item in enumerate(row.names):
        first = place == 0 and row.sure
        if st.button(
            f"Add {plain(item)}" if first else plain(item),
            key=f"add {row.number} {place}",
            help=None if first else "Teach this item by the picture, and add one",
            type="primary" if first else "secondary",
            shortcut="Alt+A" if first and newest else None,
        ):
            row.add(item)
            st.rerun()
    other = st.popover("Other", key=f"other {row.number}", on_change="rerun")
    if other.open:
        with other:
            item = choose_item("It is", key=f"item {row.number}")
            if st.button("Teach and add", key=f"teach {row.number}", icon=":material/school:") and is_name(item):
                row.add(item)
                st.rerun()


def undoing(row: Row, newest: bool) -> None:
    """Draw the undo button of a row."""
    shortcut = "Alt+Z" if newest else None
    if row.change and st.button("Undo", key=f"undo {row.number}", icon=":material/undo:", shortcut=shortcut):
        row.undo()
        st.rerun()


def listing(heading: str, some: list[Row]) -> None:
    """Draw rows under a heading with their number."""
    if some:
        st.header(f"{heading} ({len(some)})")
        for row in some:
            show(row, row is rows()[0])


def page() -> None:
    """Recognise pictures continuously and list their answers."""
    st.caption(
        "One picture after another: each answer is a row, which one click adds to the pantry, corrects or undoes. What "
        "is unknown or unsure is set aside below. Alt+A adds the newest answer, if it was sure; Alt+Z undoes that. "
        "The rows are kept until this page is reloaded."
    )
    ready()
    source = st.segmented_control("Where pictures come from", ["Camera", "Upload"], default="Camera", required=True)
    take(source)
    aside = [row for row in rows() if not row.item and not row.sure]
    listing("Answers", [row for row in rows() if row not in aside])
    listing("Set aside", aside)
    if aside:
        link("Review", "Label them later: the service has a queue of them", ":material/rate_review:")
    if not rows():
        st.info("Take a photo, or choose files: the answers come below.", icon=":material/add_photo_alternate:")
    elif st.button("Clear the list", icon=":material/clear_all:"):
        rows().clear()
        st.rerun()
