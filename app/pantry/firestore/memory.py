"""The items as last heard from Firestore."""

from collections.abc import Callable

from app.pantry.firestore.documents import Entry, Version, read
from app.pantry.firestore.views import Views


class Memory(Views[Entry]):
    """The collection of items: what its documents come to, by the items' names."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        super().__init__(read, report)
        self._items: dict[str, tuple[str, int]] | None = {}  # item -> document id and count; None when it must be made

    def items(self) -> dict[str, int]:
        """All items by name, in the order of their names."""
        return {item: count for item, (_, count) in self._view().items()}

    def count(self, item: str) -> int | None:
        """An item's count, None where it is not there."""
        found = self._view().get(item)
        return found[1] if found else None

    def document(self, item: str) -> tuple[str, Entry | None]:
        """The id of the document that has the item, or would have it, and what is known of it."""
        document_id = self._view().get(item, (item, 0))[0]
        return document_id, self._entries.get(document_id)

    def wrote(self, document_id: str, item: str, count: int | None, version: Version) -> None:
        """Take in a change of ours that Firestore has acknowledged; a count of None for a document that is gone."""
        self.ours(document_id, None if count is None else Entry(item, count, version), version)

    def _changed(self) -> None:
        self._items = None

    def _view(self) -> dict[str, tuple[str, int]]:
        """Items in their order, made anew after a change; a document of exactly that id goes before its likes."""
        view = self._items
        if view is None:
            with self._lock:
                chosen: dict[str, tuple[str, int]] = {}
                for document_id, entry in self._entries.items():
                    if entry.item and (entry.item == document_id or _first(document_id, chosen.get(entry.item), entry)):
                        chosen[entry.item] = (document_id, entry.count)
                view = self._items = dict(sorted(chosen.items()))
        return view


def _first(document_id: str, other: tuple[str, int] | None, entry: Entry) -> bool:
    """Of documents whose ids differ from the item's name, the first by id stands for it."""
    return other is None or (other[0] != entry.item and document_id < other[0])
