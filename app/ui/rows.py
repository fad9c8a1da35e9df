"""The answers of the page Continuous: one row each, with the changes made and how to undo them."""

import io
from dataclasses import dataclass, field

import streamlit as st
from larder_client import LarderError, Recognition

from app.ui.connection import larder
from app.ui.picking import Picked, preview
from app.ui.sentences import sentence
from app.ui.undoing import change_of

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
