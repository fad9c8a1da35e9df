"""The items as last heard from Firestore, brought forward by our own acknowledged changes."""

import threading
from collections.abc import Callable, Mapping

from app.pantry.firestore.documents import Entry, Version


class Memory:
    """Documents by id; of two views of one document the one that Firestore dates later counts.

    So an acknowledged change of ours shows at once, and a snapshot that was on its way meanwhile does not undo it.
    """

    def __init__(self, report: Callable[[str, str], None]) -> None:
        """`report` is told once of each odd document: its id and what is odd."""
        self._report = report
        self._reported: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._deleted: dict[str, Version] = {}  # by us, while snapshots from before may still come
        self._items: dict[str, tuple[str, int]] | None = {}  # item -> document id and count; None when it must be made
        self._stamp = 0

    def items(self) -> dict[str, int]:
        """All items by name, in the order of their names."""
        return {item: count for item, (_, count) in self._view().items()}

    def count(self, item: str) -> int | None:
        """An item's count, None where it is not there."""
        found = self._view().get(item)
        return found[1] if found else None

    def stamp(self) -> int:
        """Grows when an item's name or count changes; who asks for items after it gets them at least as new."""
        with self._lock:
            return self._stamp

    def document(self, item: str) -> tuple[str, Entry | None]:
        """The id of the document that has the item, or would have it, and what is known of it."""
        document_id = self._view().get(item, (item, 0))[0]
        return document_id, self._entries.get(document_id)

    def known(self, document_id: str) -> Entry | None:
        """What is remembered of a document."""
        return self._entries.get(document_id)

    def heard(self, changes: Mapping[str, Entry | None], at: Version, whole: bool) -> None:
        """Take in a snapshot of `at`: changed documents, None for those that are gone; `whole` when it has all."""
        with self._lock:
            before = self._stamp
            for document_id, entry in changes.items():
                if entry and entry.version >= self._deleted.get(document_id, (0, 0)):
                    self._set(document_id, entry)
                elif not entry:
                    self._drop(document_id, at)
            if whole:
                for document_id in [each for each in self._entries if changes.get(each) is None]:
                    self._drop(document_id, at)
            self._deleted = {each: version for each, version in self._deleted.items() if version > at}
            if self._stamp != before:
                self._items = None

    def wrote(self, document_id: str, item: str, count: int | None, version: Version) -> None:
        """Take in a change of ours that Firestore has acknowledged; a count of None for a document that is gone."""
        with self._lock:
            if count is None:
                self._drop(document_id, version)
                self._deleted[document_id] = version
            else:
                self._set(document_id, Entry(item, count, version))
            self._items = None

    def _set(self, document_id: str, entry: Entry) -> None:
        have = self._entries.get(document_id)
        if have and have.version > entry.version:
            return
        self._entries[document_id] = entry
        if not have or (have.item, have.count) != (entry.item, entry.count):
            self._stamp += 1
        if entry.odd and (document_id, entry.odd) not in self._reported:
            self._reported.add((document_id, entry.odd))
            self._report(document_id, entry.odd)

    def _drop(self, document_id: str, at: Version) -> None:
        have = self._entries.get(document_id)
        if have and have.version <= at:
            del self._entries[document_id]
            self._stamp += 1

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
