"""A collection's documents as last heard, brought forward by our own acknowledged changes."""

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from app.pantry.firestore.documents import Version


class View(Protocol):
    """What a document means to us; `odd` says what is wrong with it, if anything is."""

    @property
    def version(self) -> Version: ...

    @property
    def odd(self) -> str | None: ...

    @property
    def facts(self) -> Hashable:
        """What has to differ for a change of the document to be one to the labels."""
        ...


V = TypeVar("V", bound=View)


class Views(Generic[V]):
    """Documents by id; of two views of one document the one that Firestore dates later counts.

    So an acknowledged change of ours shows at once, and a snapshot that was on its way meanwhile does not undo it.
    """

    def __init__(self, read: Callable[[str, Any], V], report: Callable[[str, str], None]) -> None:
        """`read` tells what a document means; `report` is told once of each odd one: its id and what is odd."""
        self.read = read
        self._report = report
        self._reported: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._entries: dict[str, V] = {}
        self._deleted: dict[str, Version] = {}  # by us, while snapshots from before may still come
        self._stamp = 0

    def __len__(self) -> int:
        return len(self._entries)

    def stamp(self) -> int:
        """Grows when the facts change; what is asked for after it is at least as new."""
        with self._lock:
            return self._stamp

    def known(self, document_id: str) -> V | None:
        """What is remembered of a document."""
        return self._entries.get(document_id)

    def heard(self, changes: Mapping[str, V | None], at: Version, whole: bool) -> None:
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
                self._changed()

    def ours(self, document_id: str, entry: V | None, version: Version) -> None:
        """Take in a change of ours that Firestore has acknowledged; an entry of None for a document that is gone."""
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
        """Called, under the lock, after a change: what was made of the documents has to be made anew."""

    def _set(self, document_id: str, entry: V) -> None:
        have = self._entries.get(document_id)
        if have and have.version > entry.version:
            return
        self._entries[document_id] = entry
        if not have or have.facts != entry.facts:
            self._stamp += 1
        if entry.odd and (document_id, entry.odd) not in self._reported:
            self._reported.add((document_id, entry.odd))
            self._report(document_id, entry.odd)

    def _drop(self, document_id: str, at: Version) -> None:
        have = self._entries.get(document_id)
        if have and have.version <= at:
            del self._entries[document_id]
            self._stamp += 1
