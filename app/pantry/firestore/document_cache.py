"""Cache of a collection's documents: the last snapshot of the listener, and this process's acknowledged writes."""

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from app.pantry.firestore.documents import Version


class CachedDocument(Protocol):
    """What a document means to the pantry; `warning` says what is wrong with it, None where nothing is."""

    @property
    def version(self) -> Version: ...

    @property
    def warning(self) -> str | None: ...

    @property
    def visible_state(self) -> Hashable:
        """The part that labels depend on: while it is equal, a change of the document does not matter to them."""
        ...


V = TypeVar("V", bound=CachedDocument)


class DocumentCache(Generic[V]):
    """Documents by id; of two versions of one document the one with Firestore's later time counts.

    So a write shows as soon as it is acknowledged, and an older snapshot that arrives later does not undo it.
    """

    def __init__(self, read: Callable[[str, Any], V], report: Callable[[str, str], None]) -> None:
        """`read` converts a document; `report` gets the id and the warning of each document that has one, once."""
        self.read = read
        self._report = report
        self._reported: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._entries: dict[str, V] = {}
        self._deleted: dict[str, Version] = {}  # tombstones of own deletes, until no older snapshot can come
        self._stamp = 0

    def __len__(self) -> int:
        return len(self._entries)

    def stamp(self) -> int:
        """Grows when a visible state changes; what is read after it is at least as new."""
        with self._lock:
            return self._stamp

    def known(self, document_id: str) -> V | None:
        """The cached document, or None."""
        return self._entries.get(document_id)

    def apply_snapshot(self, changes: Mapping[str, V | None], at: Version, whole: bool) -> None:
        """Apply a snapshot of time `at`: changed documents, None for deleted ones; `whole` when it has all."""
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
                self._changed()

    def apply_write(self, document_id: str, entry: V | None, version: Version) -> None:
        """Apply an acknowledged write of this process; an entry of None for a delete."""
        with self._lock:
            before = self._stamp
            if entry:
                self._set(document_id, entry)
            else:
                self._drop(document_id, version)
                self._deleted[document_id] = version
            if self._stamp != before:
                self._changed()

    def _changed(self) -> None:
        """Hook, called under the lock after a change: discard what was computed from the documents."""

    def _set(self, document_id: str, entry: V) -> None:
        have = self._entries.get(document_id)
        if have and have.version > entry.version:
            return
        self._entries[document_id] = entry
        if not have or have.visible_state != entry.visible_state:
            self._stamp += 1
        if entry.warning and (document_id, entry.warning) not in self._reported:
            self._reported.add((document_id, entry.warning))
            self._report(document_id, entry.warning)

    def _drop(self, document_id: str, at: Version) -> None:
        have = self._entries.get(document_id)
        if have and have.version <= at:
            del self._entries[document_id]
            self._stamp += 1
