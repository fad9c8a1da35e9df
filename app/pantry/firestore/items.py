"""Items in Firestore: documents as items, whatever is in them, and their cache by name."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidRequest
from app.pantry import MAX_COUNT, Item, item_name
from app.pantry.firestore.document_cache import DocumentCache, Version, version_of
from app.text import normalise

COUNT = "count"
_RESERVED = re.compile(r"\.\.?|__.*__", re.DOTALL)  # ids that Firestore reserves


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


class Items(DocumentCache[Entry]):
    """The items of the collection's documents, by name."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        super().__init__(read, report)
        self._items: dict[str, tuple[str, str]] | None = {}  # key -> item and document id; None if it must be rebuilt

    def items(self) -> dict[str, int]:
        """Return all items, sorted by name."""
        found = ((item, self._entries.get(document_id)) for item, document_id in self._view().values())
        return {item: entry.count for item, entry in found if entry}

    def get(self, item: str) -> Item | None:
        """Return an item with its spelling, None if it is missing."""
        found = self._view().get(normalise(item))
        entry = self._entries.get(found[1]) if found else None
        return Item(found[0], entry.count) if found and entry else None

    def document(self, item: str) -> tuple[str, Entry | None]:
        """Return the id of the document of an existing or new item, and its cached state."""
        _, document_id = self._view().get(normalise(item), (item, item))
        return document_id, self._entries.get(document_id)

    def has(self, item: str) -> bool:
        """Return whether the item exists, under this spelling or another."""
        return normalise(item) in self._view()

    def wrote(self, document_id: str, item: str, count: int | None, version: Version) -> None:
        """Apply an acknowledged write of this process; a count of None for a delete."""
        self.apply_write(document_id, None if count is None else Entry(item, count, version), version)

    def _changed(self) -> None:
        self._items = None

    def _view(self) -> dict[str, tuple[str, str]]:
        """Return the items sorted by name, recomputed after a change.

        Several documents may be spellings of one name. The one whose id has our spelling is the item; of several of
        these, or of none, the first by id.
        """
        view = self._items
        if view is None:
            with self._lock:
                chosen: dict[str, tuple[bool, str, str]] = {}
                for document_id, entry in self._entries.items():
                    if entry.item:
                        candidate = (entry.item != document_id, document_id, entry.item)
                        key = normalise(entry.item)
                        chosen[key] = min(candidate, chosen.get(key, candidate))
                ordered = sorted(chosen.items(), key=lambda pair: pair[1][2])
                view = self._items = {key: (item, document_id) for key, (_, document_id, item) in ordered}
        return view
