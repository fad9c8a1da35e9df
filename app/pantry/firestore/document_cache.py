"""Cache of a collection's documents: the listener's last snapshot and this process's acknowledged writes."""

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

Version = tuple[int, int]
"""The time of a document's change on Firestore's clock: seconds and nanoseconds."""


def version_of(time: Any) -> Version:
    """Convert a Firestore timestamp."""
    return time.seconds, time.nanos


class CachedDocument(Protocol):
    """The pantry's interpretation of a document; `warning` tells what is wrong with it, or is None."""

    @property
    def version(self) -> Version: ...

    @property
    def warning(self) -> str | None: ...

    @property
    def visible_state(self) -> Hashable:
        """Return the part that labels depend on; changes that leave it equal do not affect them."""
        ...


V = TypeVar("V", bound=CachedDocument)


class DocumentCache(Generic[V]):
    """Documents by id; the version with the later Firestore time wins.

    So a write is visible as soon as it is acknowledged, and an older snapshot that arrives later does not undo it.
    """

    def __init__(self, read: Callable[[str, Any], V], report: Callable[[str, str], None]) -> None:
        """`read` converts a document; `report` is called once with the id and warning of each document that has one."""
        self.read = read
        self._report = report
        self._reported: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._entries: dict[str, V] = {}
        self._deleted: dict[str, Version] = {}  # tombstones of own deletes, until no older snapshot can arrive
        self._stamp = 0

    def __len__(self) -> int:
        return len(self._entries)

    def stamp(self) -> int:
        """Increases when a visible state changes; what is read after it is at least as new."""
        with self._lock:
            return self._stamp

    def known(self, document_id: str) -> V | None:
        """Return the cached document, or None."""
        return self._entries.get(document_id)

    def apply_snapshot(self, changes: Mapping[str, V | None], at: Version, whole: bool) -> None:
        """Apply a snapshot of time `at`: changed documents, None for deleted ones; `whole` if it has all."""
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
        """Hook, called under the lock after a change: discard values computed from the documents."""

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
