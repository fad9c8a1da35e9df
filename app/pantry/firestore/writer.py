"""Write changes of items to Firestore: each is applied once, atomically, and within a deadline.

A change is a compare-and-set: computed from the cached or read state, and written on condition that nothing has changed
meanwhile, in one commit with its key and its entry in the journal.
"""

import hashlib
import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from google.api_core import exceptions
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]

from app.deadline import seconds_left
from app.errors import StoreUnavailable
from app.pantry import Item, Key
from app.pantry.changes import Change, check_room_for_item, undone
from app.pantry.examples import Example, check_room, chosen, not_kept_yet
from app.pantry.firestore.connection import Connection, left
from app.pantry.firestore.document_cache import Version, version_of
from app.pantry.firestore.examples import ExampleEntry, Examples, written
from app.pantry.firestore.items import COUNT, Items, check_id, read_count, whole
from app.pantry.firestore.journal import Journal, first_answer, key_write
from app.pantry.journal import JournalEntry

DEADLINE = 4.0  # seconds for a change, including all attempts
MAX_CONCURRENT = 32  # concurrent changes
_LOCKS = 64
_CONFLICTS = (exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound, exceptions.Aborted)
Write = dict[str, Any]


@dataclass(frozen=True)
class _Found:
    """The state of an item's document when it was read."""

    count: int
    update_time: Any


class Writer:
    """Changes the documents of a collection; keys are documents of the collection `<collection>_keys`.

    Deleting an item deletes its examples too.
    """

    def __init__(
        self, connection: Connection, collection: str, memory: Items, examples: Examples, journal: Journal
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._collection = collection
        self._memory = memory
        self._examples = examples
        self._under_way = threading.BoundedSemaphore(MAX_CONCURRENT)
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def change(self, change: Change, key: Key | None) -> tuple[Item, JournalEntry | None]:
        """Apply a change, and return its journal entry; None if it had no effect or was applied before.

        Raises NotFound, InvalidRequest or StoreUnavailable.
        """
        check_id(change.item)
        with self._deadline() as deadline:
            document_id, entry = self._memory.document(change.item)
            change = replace(change, item=entry.item if entry and entry.item else change.item)
            if entry is None and change.operation in ("put", "add"):
                check_room_for_item(change.item, len(self._memory))
            with self._document_lock(document_id, deadline):
                return self._compare_and_set(change, key, document_id, deadline)

    def undo(self, id: str, key: Key | None) -> tuple[JournalEntry, bool]:
        """Undo a journal entry; return the entry of the undo, and whether it is new rather than the key's first.

        Raises NotFound, Conflict, InvalidRequest or StoreUnavailable.
        """
        key_name = self._key_name(key) if key else ""
        with self._deadline() as deadline:
            while True:
                stored, known = self._journal.find(id, key_name, deadline)
                entry = stored.entry
                if key and first_answer(key, known):
                    return self._journal.find(entry.undone_by or id, "", deadline)[0].entry, False
                document_id, _ = self._memory.document(entry.item)
                found = self._read(document_id, "", deadline)[0]
                taught = bool(self._examples.ids(entry.item))
                after = undone(entry, found.count if found else None, taught=taught)
                update = self._update(document_id, found, after)
                new, writes = self._journal.undoing(stored, found.count if found else None, after)
                if key:
                    writes.append(key_write(key, key_name, Item(entry.item, after or 0), known))
                try:
                    response = self._connection.commit([update, *writes], deadline)
                except _CONFLICTS as error:
                    _pause(deadline, error)
                else:
                    self._remember(document_id, Item(entry.item, after or 0), after, response)
                    return new, True

    def teach(self, item: str, examples: Sequence[Example]) -> None:
        """Store examples, and the item with its count or 0; raises InvalidRequest or StoreUnavailable."""
        check_id(item)
        have = self._examples.ids(item)
        new = not_kept_yet(examples, have)
        check_room(item, len(have), len(new))
        document_id, entry = self._memory.document(item)
        item = entry.item if entry and entry.item else item
        if entry is None:
            check_room_for_item(item, len(self._memory))
        writes = [{"update": {"name": self._example(each.id), "fields": written(each)}} for each in new]
        writes.append(_transform(self._connection.document(self._collection, document_id), increment=0))
        response = self.commit(writes)
        *taught, put = response.write_results
        for each, result in zip(new, taught, strict=True):
            version = version_of(result.update_time)
            self._examples.apply_write(each.id, ExampleEntry(each, version), version)
        version = version_of(put.update_time if put.HasField("update_time") else response.commit_time)
        self._memory.wrote(document_id, item, whole(put.transform_results[0]), version)

    def forget(self, item: str, ids: Sequence[str] | None) -> int:
        """Remove examples; raises NotFound or StoreUnavailable."""
        gone = chosen(item, self._examples.ids(item), ids)
        response = self.commit([{"delete": self._example(each)} for each in gone])
        self._forgot(gone, version_of(response.commit_time))
        return len(gone)

    def _compare_and_set(
        self, change: Change, key: Key | None, document_id: str, deadline: float
    ) -> tuple[Item, JournalEntry | None]:
        """Compute the change and write it if the document is unchanged; otherwise read it and try again.

        The first attempt uses the cached item. Usually that is current, and one call is enough.
        """
        key_name = self._key_name(key) if key else ""
        found, known = self._cached(document_id), None
        if found is None:
            found, known = self._read(document_id, key_name, deadline)
        while True:
            if key and (answer := first_answer(key, known)):
                return answer, None
            before = found.count if found else None
            item = change.applied(before)
            after = None if change.operation == "delete" else item.count
            writes = [self._update(document_id, found, after), *self._example_deletes(change)]
            entry = None
            if before != after:
                entry, write = self._journal.entry(change.operation, item.item, before, after)
                writes.append(write)
            if key:
                writes.append(key_write(key, key_name, item, known))
            try:
                response = self._connection.commit(writes, deadline)
            except _CONFLICTS as error:
                _pause(deadline, error)
                found, known = self._read(document_id, key_name, deadline)
            else:
                self._remember(document_id, item, after, response)
                return item, entry

    def _cached(self, document_id: str) -> "_Found | None":
        """Return the cached state of a document."""
        entry = self._memory.known(document_id)
        return _Found(entry.count, Timestamp(seconds=entry.version[0], nanos=entry.version[1])) if entry else None

    def _read(self, document_id: str, key_name: str, deadline: float) -> tuple["_Found | None", Any | None]:
        """Read an item from Firestore, and a key if one is named."""
        name = self._connection.document(self._collection, document_id)
        documents = self._connection.read([name, key_name] if key_name else [name], deadline)
        found = documents.get(name)
        return _Found(read_count(found.fields)[0], found.update_time) if found else None, documents.get(key_name)

    def _update(self, document_id: str, found: "_Found | None", count: int | None) -> Write:
        """Return the write that sets the count of an unchanged document; None deletes it."""
        name = self._connection.document(self._collection, document_id)
        unchanged = {"update_time": found.update_time} if found else {"exists": False}
        return ({"delete": name} if count is None else _put(name, count)) | {"current_document": unchanged}

    def commit(self, writes: list[Write]) -> Any:
        """Call Firestore, retrying while it reports contention on the documents; raises StoreUnavailable."""
        with self._deadline() as deadline:
            while True:
                try:
                    return self._connection.commit(writes, deadline)
                except exceptions.Aborted as error:
                    _pause(deadline, error)

    def _example_deletes(self, change: Change) -> list[Write]:
        """Return the writes that delete an item's examples with it."""
        gone = self._examples.ids(change.item) if change.operation == "delete" else []
        return [{"delete": self._example(each)} for each in gone]

    def _forgot(self, ids: Iterable[str], at: Version) -> None:
        for each in ids:
            self._examples.apply_write(each, None, at)

    def _example(self, id: str) -> str:
        return self._connection.document(f"{self._collection}_examples", id)

    def _remember(self, document_id: str, item: Item, count: int | None, response: Any) -> None:
        """Apply an acknowledged change to the cache; the first result is the item's, a delete's has no time."""
        first = response.write_results[0]
        at = version_of(first.update_time if first.HasField("update_time") else response.commit_time)
        self._memory.wrote(document_id, item.item, count, at)
        if count is None:
            self._forgot(self._examples.ids(item.item), at)

    def _key_name(self, key: Key) -> str:
        """Return the document name of a key: any text becomes an id."""
        return self._connection.document(f"{self._collection}_keys", hashlib.sha256(key.id.encode()).hexdigest())

    @contextmanager
    def _deadline(self) -> Iterator[float]:
        """Return the deadline (monotonic) of a change; raises StoreUnavailable if too many wait."""
        if not self._under_way.acquire(blocking=False):
            raise StoreUnavailable(f"{MAX_CONCURRENT} changes wait for Firestore already; nothing was stored")
        try:
            yield time.monotonic() + seconds_left(DEADLINE)
        finally:
            self._under_way.release()

    @contextmanager
    def _document_lock(self, document_id: str, deadline: float) -> Iterator[None]:
        """Allow one change of a document at a time in this process, so that only other processes conflict."""
        lock = self._locks[hash(document_id) % _LOCKS]
        if not lock.acquire(timeout=left(deadline)):
            raise StoreUnavailable("too many changes of the item are in progress; nothing was stored")
        try:
            yield
        finally:
            lock.release()


def _put(name: str, count: int) -> Write:
    """Return the write that sets the count; the document's other fields stay."""
    fields = {COUNT: {"integer_value": count}}
    return {"update": {"name": name, "fields": fields}, "update_mask": {"field_paths": [COUNT]}}


def _transform(name: str, **how: int) -> Write:
    """Return the write that lets Firestore compute the count from its current value."""
    transforms = [{"field_path": COUNT} | {kind: {"integer_value": value} for kind, value in how.items()}]
    return {"transform": {"document": name, "field_transforms": transforms}}


def _pause(deadline: float, error: Exception) -> None:
    """Wait briefly before the next attempt; raises StoreUnavailable if no time is left."""
    pause = random.uniform(0.005, 0.05)  # noqa: S311 - to spread callers, not to keep a secret
    if time.monotonic() + pause >= deadline:
        raise StoreUnavailable("too many changes of the item are in progress; nothing was stored") from error
    time.sleep(pause)
