"""Support examples in Firestore: documents of the collection `<collection>_examples`, cached like the items."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.errors import InvalidRequest
from app.pantry import item_name
from app.pantry.examples import Example, Vector, from_bytes, to_bytes
from app.pantry.firestore.document_cache import DocumentCache, Version, version_of
from app.pantry.firestore.items import number
from app.text import normalise

Fields = dict[str, Any]
LATEST = 253402300799.0  # the end of the year 9999, seconds since 1970: the latest time of a datetime


@dataclass(frozen=True, slots=True)
class ExampleEntry:
    """A document as an example, None if it is invalid; `warning` tells what is wrong."""

    example: Example | None
    version: Version
    warning: str | None = None

    @property
    def visible_state(self) -> Version:
        """Return the version: a rewritten example may have another vector."""
        return self.version


class Examples(DocumentCache[ExampleEntry]):
    """The collection of examples."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        super().__init__(read, report)
        self._examples: list[Example] | None = []  # None if it must be rebuilt

    def all(self) -> list[Example]:
        """Return all examples, in the order of teaching."""
        examples = self._examples
        if examples is None:
            with self._lock:
                known = [entry.example for entry in self._entries.values() if entry.example]
                examples = self._examples = sorted(known, key=lambda each: (each.at, each.id))
        return list(examples)

    def ids(self, item: str) -> list[str]:
        """Return the ids of an item's examples, which are those of their documents."""
        key = normalise(item)
        return [each.id for each in self.all() if normalise(each.item) == key]

    def _changed(self) -> None:
        self._examples = None


def read(document_id: str, document: Any) -> ExampleEntry:
    """Convert a document (as in Firestore's protocol) to an example; invalid ones raise no error."""
    version, fields = version_of(document.update_time), document.fields
    try:
        item = item_name(fields["item"].string_value if "item" in fields else "")
    except InvalidRequest:
        return ExampleEntry(None, version, "its item is not a valid item name, so it is left out")
    data = fields["vector"].bytes_value if "vector" in fields else b""
    vector = from_bytes(data[: len(data) // 4 * 4])
    if 4 * len(vector) != len(data) or not _is_unit(vector):
        return ExampleEntry(None, version, "its vector is not a unit vector of float32, so it is left out")
    model = fields["model"].string_value if "model" in fields else ""
    at = number(fields["at"]) if "at" in fields else 0.0
    warning = None
    if not 0 <= at <= LATEST:
        at, warning = 0.0, "its time is not in seconds since 1970, so it counts as the oldest"
    return ExampleEntry(Example(document_id, item, model, vector, at), version, warning)


def _is_unit(vector: Vector) -> bool:
    """Return whether a vector (D,) is finite and has length 1, within float16 rounding."""
    return bool(np.isfinite(vector).all()) and abs(float(np.linalg.norm(vector.astype(np.float64))) - 1) < 0.01


def written(example: Example) -> Fields:
    """Return an example as the fields of its document."""
    return {
        "item": {"string_value": example.item},
        "model": {"string_value": example.model},
        "vector": {"bytes_value": to_bytes(example.vector)},
        "at": {"double_value": example.at},
    }
