"""Cache of the items in Firestore, by name."""

from collections.abc import Callable

from app.pantry import Item
from app.pantry.firestore.document_cache import DocumentCache
from app.pantry.firestore.documents import Entry, Version, read
from app.text import normalise


class Memory(DocumentCache[Entry]):
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
