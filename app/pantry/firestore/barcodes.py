"""Barcodes in Firestore: documents of the collection `<collection>_barcodes`, cached like the items.

A document's id is the code if that has only digits, otherwise its checksum, because a code may contain slashes.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidRequest
from app.pantry import item_name
from app.pantry.barcodes import barcode_read
from app.pantry.firestore.document_cache import DocumentCache, Version, version_of


@dataclass(frozen=True, slots=True)
class BarcodeEntry:
    """A document as a code and its item, both empty if it is invalid; `warning` tells what is wrong."""

    code: str
    item: str
    version: Version
    warning: str | None = None

    @property
    def visible_state(self) -> tuple[str, str]:
        """Return the code and its item."""
        return self.code, self.item


class Barcodes(DocumentCache[BarcodeEntry]):
    """The collection of barcodes."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        super().__init__(read, report)
        self._codes: list[tuple[str, str]] | None = []  # by code; None if it must be rebuilt

    def page(self, cursor: str, limit: int) -> tuple[dict[str, str], str | None]:
        """Return codes with their items, from the first or after the cursor, which is the last code before."""
        codes = self._codes
        if codes is None:
            with self._lock:
                codes = sorted((entry.code, entry.item) for entry in self._entries.values() if entry.code)
                self._codes = codes
        start = bisect_right(codes, cursor, key=lambda pair: pair[0])
        some = codes[start : start + limit]
        return dict(some), some[-1][0] if len(codes) > start + limit else None

    def items_of(self, codes: Sequence[str]) -> dict[str, str]:
        """Return those of the codes that have an item, with it."""
        found = {code: self.known(document_id(code)) for code in codes}
        return {code: entry.item for code, entry in found.items() if entry and entry.code == code}

    def _changed(self) -> None:
        self._codes = None


def document_id(code: str) -> str:
    """Return the document id of a code."""
    return code if code.isascii() and code.isdecimal() else hashlib.sha256(code.encode()).hexdigest()


def read(id: str, document: Any) -> BarcodeEntry:
    """Convert a document (as in Firestore's protocol) to a code; invalid ones raise no error."""
    version, fields = version_of(document.update_time), document.fields
    code, item = (fields[name].string_value if name in fields else "" for name in ("code", "item"))
    try:
        item = item_name(item)
    except InvalidRequest:
        return BarcodeEntry("", "", version, "its item is not a valid item name, so it is left out")
    if not code or barcode_read(code) != code or document_id(code) != id:
        return BarcodeEntry("", "", version, "its code is not as we write it, or not that of its id, so it is left out")
    return BarcodeEntry(code, item, version)


def written(code: str, item: str) -> dict[str, Any]:
    """Return a code and its item as the fields of a document."""
    return {"code": {"string_value": code}, "item": {"string_value": item}}
