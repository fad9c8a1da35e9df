"""Changes of items in Firestore: each happens once, whole, and within a deadline.

A plain change is one call in which Firestore itself does the arithmetic, so that any number of them at a time are all
counted. A change with a key, or of an odd document, is a compare-and-set: read, computed, and written on condition that
nothing has changed meanwhile.
"""

import hashlib
import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core import exceptions

from app.deadline import seconds_left
from app.errors import StoreUnavailable
from app.pantry import MAX_COUNT, Item, Key
from app.pantry.changes import Change, check_room_for_item, check_same, not_there
from app.pantry.examples import Example, check_room, chosen, not_kept_yet
from app.pantry.firestore.connection import Connection, left
from app.pantry.firestore.documents import COUNT, Version, check_id, number, read_count, version_of, whole
from app.pantry.firestore.examples import ExampleEntry, Examples, written
from app.pantry.firestore.memory import Memory

DEADLINE = 4.0  # seconds for a change, all attempts together
MAX_CONCURRENT = 32  # changes under way at a time
KEYS_KEPT = timedelta(days=1)
_LOCKS = 64
_CONFLICTS = (exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound, exceptions.Aborted)
Write = dict[str, Any]


class Writer:
    """Changes the documents of a collection; keys are documents of the collection `<collection>_keys`.

    An item that is deleted takes its examples with it.
    """

    def __init__(self, connection: Connection, collection: str, memory: Memory, examples: Examples) -> None:
        self._connection = connection
        self._collection = collection
        self._memory = memory
        self._examples = examples
        self._under_way = threading.BoundedSemaphore(MAX_CONCURRENT)
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def change(self, change: Change, key: Key | None) -> Item:
        """Carry out a change; raises NotFound, InvalidRequest or StoreUnavailable."""
        check_id(change.item)
        with self._deadline() as deadline:
            document_id, entry = self._memory.document(change.item)
            change = replace(change, item=entry.item if entry and entry.item else change.item)
            if entry is None and change.operation in ("put", "add"):
                check_room_for_item(change.item, len(self._memory))
            reaches_the_most = change.quantity + (entry.count if entry else 0) > MAX_COUNT // 2
            if key is None and not reaches_the_most and not (entry and entry.warning):
                return self._unconditional(change, document_id, deadline)
            with self._document_lock(document_id, deadline):
                return self._compare_and_set(change, key, document_id, deadline)

    def teach(self, item: str, examples: Sequence[Example]) -> None:
        """Keep examples, and the item with its count or 0; raises InvalidRequest or StoreUnavailable."""
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
        with self._deadline() as deadline:
            response = self._commit(writes, deadline)
        *taught, put = response.write_results
        for each, result in zip(new, taught, strict=True):
            version = version_of(result.update_time)
            self._examples.apply_write(each.id, ExampleEntry(each, version), version)
        version = version_of(put.update_time if put.HasField("update_time") else response.commit_time)
        self._memory.wrote(document_id, item, whole(put.transform_results[0]), version)

    def forget(self, item: str, ids: Sequence[str] | None) -> int:
        """Remove examples; raises NotFound or StoreUnavailable."""
        gone = chosen(item, self._examples.ids(item), ids)
        with self._deadline() as deadline:
            response = self._commit([{"delete": self._example(each)} for each in gone], deadline)
        self._forgot(gone, version_of(response.commit_time))
        return len(gone)

    def _unconditional(self, change: Change, document_id: str, deadline: float) -> Item:
        """One call in which Firestore does the arithmetic: it conflicts with no other."""
        name = self._connection.document(self._collection, document_id)
        there = {"current_document": {"exists": True}}
        if change.operation == "put":
            writes = [_put(name, change.quantity)]
        elif change.operation == "add":
            writes = [_transform(name, increment=change.quantity)]
        elif change.operation == "remove":
            writes = [_transform(name, increment=-change.quantity) | there, _transform(name, maximum=0)]
        else:
            writes = [{"delete": name} | there]
        try:
            response = self._commit(writes + self._example_deletes(change), deadline)
        except (exceptions.NotFound, exceptions.FailedPrecondition):
            raise not_there(change.item) from None
        item = _outcome(change, [result.transform_results for result in response.write_results])
        self._remember(change, document_id, item, response, len(writes))
        return item

    def _compare_and_set(self, change: Change, key: Key | None, document_id: str, deadline: float) -> Item:
        """Read, compute, and write if nothing has changed meanwhile; else once more."""
        name = self._connection.document(self._collection, document_id)
        key_name = self._key_name(key) if key else ""
        while True:
            documents = self._connection.read([name, key_name] if key else [name], deadline)
            known = documents.get(key_name)
            if key and known and not _has_expired(known):
                return _answer(key, known)
            found = documents.get(name)
            item = change.applied(read_count(found.fields)[0] if found else None)
            unchanged = {"update_time": found.update_time} if found else {"exists": False}
            write = {"delete": name} if change.operation == "delete" else _put(name, item.count)
            writes = [write | {"current_document": unchanged}, *self._example_deletes(change)]
            if key:
                writes.append(_key_write(key, key_name, item, known))
            try:
                response = self._connection.commit(writes, deadline)
            except _CONFLICTS as error:
                _pause(deadline, error)
            else:
                self._remember(change, document_id, item, response, 1)
                return item

    def _commit(self, writes: list[Write], deadline: float) -> Any:
        """One call, made again while Firestore is busy with others' on the same documents."""
        while True:
            try:
                return self._connection.commit(writes, deadline)
            except exceptions.Aborted as error:
                _pause(deadline, error)

    def _example_deletes(self, change: Change) -> list[Write]:
        """The writes that delete an item's examples with it."""
        gone = self._examples.ids(change.item) if change.operation == "delete" else []
        return [{"delete": self._example(each)} for each in gone]

    def _forgot(self, ids: Iterable[str], at: Version) -> None:
        for each in ids:
            self._examples.apply_write(each, None, at)

    def _example(self, id: str) -> str:
        return self._connection.document(f"{self._collection}_examples", id)

    def _remember(self, change: Change, document_id: str, item: Item, response: Any, writes: int) -> None:
        """Show an acknowledged change at once; the first `writes` results are the item's, a delete's has no time."""
        times = [result.update_time for result in response.write_results[:writes] if result.HasField("update_time")]
        at = max(version_of(time) for time in times or [response.commit_time])
        self._memory.wrote(document_id, item.item, None if change.operation == "delete" else item.count, at)
        if change.operation == "delete":
            self._forgot(self._examples.ids(item.item), at)

    def _key_name(self, key: Key) -> str:
        """A key's document: any text becomes an id."""
        return self._connection.document(f"{self._collection}_keys", hashlib.sha256(key.id.encode()).hexdigest())

    @contextmanager
    def _deadline(self) -> Iterator[float]:
        """The time (monotonic) by which a change has to be over; raises StoreUnavailable when too many wait."""
        if not self._under_way.acquire(blocking=False):
            raise StoreUnavailable(f"{MAX_CONCURRENT} changes wait for Firestore already; nothing was stored")
        try:
            yield time.monotonic() + seconds_left(DEADLINE)
        finally:
            self._under_way.release()

    @contextmanager
    def _document_lock(self, document_id: str, deadline: float) -> Iterator[None]:
        """One change at a time of a document in this process, so that only other processes conflict with it."""
        lock = self._locks[hash(document_id) % _LOCKS]
        if not lock.acquire(timeout=left(deadline)):
            raise StoreUnavailable("too many changes of the item are under way; nothing was stored")
        try:
            yield
        finally:
            lock.release()


def _put(name: str, count: int) -> Write:
    """Set the count; the document's other fields stay."""
    fields = {COUNT: {"integer_value": count}}
    return {"update": {"name": name, "fields": fields}, "update_mask": {"field_paths": [COUNT]}}


def _transform(name: str, **how: int) -> Write:
    """Have Firestore compute the count from its present value."""
    transforms = [{"field_path": COUNT} | {kind: {"integer_value": value} for kind, value in how.items()}]
    return {"transform": {"document": name, "field_transforms": transforms}}


def _outcome(change: Change, results: list[Any]) -> Item:
    """The item after an unconditional change, from the results of Firestore's transforms."""
    if change.operation == "add":
        return Item(change.item, whole(results[0][0]))
    if change.operation == "remove":
        before = int(number(results[0][0]) + change.quantity)
        return Item(change.item, whole(results[1][0]), removed=max(0, min(before, change.quantity)))
    return Item(change.item, change.quantity)


def _has_expired(known: Any) -> bool:
    """Whether a key is too old to count: Firestore's own expiry may take days, or be switched off."""
    expires = known.fields["expires"].timestamp_value if "expires" in known.fields else None
    return expires is not None and expires.seconds <= time.time()


def _key_write(key: Key, key_name: str, item: Item, expired: Any | None) -> Write:
    """A key with the answer of its change, in place of an expired one.

    Where the key was written meanwhile it fails, and the change with it.
    """
    fields = {
        "request": {"string_value": key.request},
        "item": {"string_value": item.item},
        "count": {"integer_value": item.count},
        "removed": {"integer_value": item.removed},
        "expires": {"timestamp_value": datetime.now(UTC) + KEYS_KEPT},
    }
    unchanged = {"update_time": expired.update_time} if expired else {"exists": False}
    return {"update": {"name": key_name, "fields": fields}, "current_document": unchanged}


def _answer(key: Key, known: Any) -> Item:
    """The answer that the key's change got; raises InvalidRequest for another request."""
    check_same(key, known.fields["request"].string_value)
    count, removed = (known.fields[name].integer_value for name in ("count", "removed"))
    return Item(known.fields["item"].string_value, count, removed)


def _pause(deadline: float, error: Exception) -> None:
    """Wait for a moment before the next attempt; raises StoreUnavailable when no time is left for it."""
    pause = random.uniform(0.005, 0.05)  # noqa: S311 - to spread callers, not to keep a secret
    if time.monotonic() + pause >= deadline:
        raise StoreUnavailable("too many changes of the item are under way; nothing was stored") from error
    time.sleep(pause)
