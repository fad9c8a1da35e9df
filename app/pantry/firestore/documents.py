"""Convert Firestore documents to items, whatever they contain."""

import math
import re
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidRequest
from app.pantry import MAX_COUNT, item_name

COUNT = "count"
_RESERVED = re.compile(r"\.\.?|__.*__", re.DOTALL)  # ids that Firestore reserves

Version = tuple[int, int]
"""The time of a document's change on Firestore's clock: seconds and nanoseconds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document as an item, None if its id is not a valid item name; `warning` tells what is wrong."""

    item: str | None
    count: int
    version: Version
    warning: str | None = None

    @property
    def visible_state(self) -> str | None:
        """Return the part that labels depend on."""
        return self.item


def version_of(time: Any) -> Version:
    """Convert a Firestore timestamp."""
    return time.seconds, time.nanos


def read(document_id: str, document: Any) -> Entry:
    """Convert a document (as in Firestore's protocol) to an item; invalid ones raise no error."""
    version = version_of(document.update_time)
    try:
        item = item_name(document_id)
    except InvalidRequest:
        return Entry(None, 0, version, "its id is not a valid item name, so it is left out")
    count, odd = read_count(document.fields)
    if item != document_id:
        odd = odd or f"its id is not as we write it; it counts as {item!r} unless there is a document of that id"
    return Entry(item, count, version, odd)


def read_count(fields: Any) -> tuple[int, str | None]:
    """Return the count of a document's fields, from 0 to MAX_COUNT, and a warning if it is invalid.

    Fractions are truncated; negative numbers and other types count as 0.
    """
    if COUNT not in fields:
        return 0, f"it has no field `{COUNT}`, so it counts 0"
    value, count = fields[COUNT], whole(fields[COUNT])
    kind = str(value.WhichOneof("value_type")).removesuffix("_value")
    if kind == "double":
        return count, f"its `{COUNT}` is no integer, so its whole part counts"
    if kind != "integer":
        return count, f"its `{COUNT}` is no number but a {kind}, so it counts 0"
    if value.integer_value != count:
        return count, f"its `{COUNT}` is not from 0 to {MAX_COUNT}, so the nearest to it counts"
    return count, None


def number(value: Any) -> float:
    """Return the number in a Firestore value, 0 for other types."""
    found: float = value.integer_value or value.double_value  # the other one is 0; both are 0 for other types
    return 0 if math.isnan(found) else found


def whole(value: Any) -> int:
    """Convert a Firestore value to a count: truncated, within 0 to MAX_COUNT."""
    return int(min(max(number(value), 0), MAX_COUNT))


def check_id(item: str) -> None:
    """Raise InvalidRequest for a name that Firestore does not allow as a document id."""
    if _RESERVED.fullmatch(item):
        raise InvalidRequest(f"the pantry is in Firestore, which keeps names like {item!r} for itself")
