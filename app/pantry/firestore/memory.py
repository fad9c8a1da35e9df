"""Cache of the items in Firestore, by name."""

from collections.abc import Callable

from app.pantry import Item
from app.pantry.firestore.document_cache import DocumentCache
from app.pantry.firestore.documents import Entry, Version, read
from app.text import normalise


class Memory(DocumentCache[Entry]):
    """The collection of items: what its documents come to, by the items' names."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        super().__init__(read, report)
        self._items: dict[str, tuple[str, str]] | None = {}  # key -> item and document id; None when it must be made

    def items(self) -> dict[str, int]:
        """All items by name, in the order of their names."""
        found = ((item, self._entries.get(document_id)) for item, document_id in self._view().values())
        return {item: entry.count for item, entry in found if entry}

    def get(self, item: str) -> Item | None:
        """An item under the name that it has, None where it is not there."""
        found = self._view().get(normalise(item))
        entry = self._entries.get(found[1]) if found else None
        return Item(found[0], entry.count) if found and entry else None

    def document(self, item: str) -> tuple[str, Entry | None]:
        """The id of the document that has the item, or would have it, and what is known of it."""
        _, document_id = self._view().get(normalise(item), (item, item))
        return document_id, self._entries.get(document_id)

    def has(self, item: str) -> bool:
        """Whether the item is there, under this spelling of its name or another one."""
        return normalise(item) in self._view()

    def wrote(self, document_id: str, item: str, count: int | None, version: Version) -> None:
        """Apply an acknowledged write of this process; a count of None for a delete."""
        self.apply_write(document_id, None if count is None else Entry(item, count, version), version)

    def _changed(self) -> None:
        self._items = None

    def _view(self) -> dict[str, tuple[str, str]]:
        """Items in the order of their names, made again after a change.

        Several documents may be spellings of one name. The one whose id is spelled as we write it stands for the item;
        of several of these, or of none, the first by its id.
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
