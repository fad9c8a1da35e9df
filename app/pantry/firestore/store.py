"""The Firestore pantry store: reads from memory, changes through Firestore."""

from collections.abc import Hashable, Sequence
from typing import Any

from app.errors import StoreUnavailable
from app.log import get_logger
from app.pantry import Item, Key, Status
from app.pantry.barcodes import check_room_for_barcode, not_tied
from app.pantry.changes import Change, not_there
from app.pantry.examples import Example
from app.pantry.firestore.barcodes import BarcodeEntry, Barcodes, document_id, written
from app.pantry.firestore.connection import Connection, credentials_of
from app.pantry.firestore.document_cache import version_of
from app.pantry.firestore.examples import Examples
from app.pantry.firestore.items import Items
from app.pantry.firestore.journal import Journal
from app.pantry.firestore.listener import Listener as CollectionListener
from app.pantry.firestore.writer import Writer
from app.pantry.journal import JournalEntry, Listener, tell
from app.settings import Settings, firestore_emulator, task_role

WAIT = 5.0  # seconds for the first snapshot; then the start continues without it, at once if Firestore is unreachable
STRICT_WAIT = 30.0  # the same for a strict start, which fails after it


def open_firestore(settings: Settings) -> "FirestorePantry":
    """Open the pantry of LARDER_PANTRY=firestore://PROJECT/COLLECTION; raises StoreUnavailable."""
    project, collection = settings.pantry.removeprefix("firestore://").split("/")
    secret, emulator = settings.google_credentials, firestore_emulator()
    credentials = credentials_of(secret.get_secret_value(), task_role()) if secret and not emulator else None
    strict = settings.pantry_strict
    return FirestorePantry(project, collection, emulator=emulator, credentials=credentials, strict=strict)


class FirestorePantry:
    """A PantryStore in a Firestore collection. Starts, and recognises, even if Firestore is unreachable."""

    def __init__(
        self,
        project: str,
        collection: str,
        *,
        emulator: str | None = None,
        credentials: Any = None,
        strict: bool = False,
        strict_wait_s: float | None = None,
    ) -> None:
        """Listens to the collection; a strict store raises StoreUnavailable if no snapshot arrives in time.

        Raises StoreUnavailable if there are no credentials, neither given nor the platform's.
        """
        self._collection = collection
        self._connection = Connection(project, emulator, credentials)
        self._memory = Items(_report)
        self._examples = Examples(_report)
        self._barcodes = Barcodes(_report)
        self._listener = CollectionListener(self._connection, collection, self._memory)
        of_examples = CollectionListener(self._connection, f"{collection}_examples", self._examples)
        of_barcodes = CollectionListener(self._connection, f"{collection}_barcodes", self._barcodes)
        self._listeners = (self._listener, of_examples, of_barcodes)
        self._journal = Journal(self._connection, collection)
        self._writer = Writer(self._connection, collection, self._memory, self._examples, self._journal)
        self.listeners: list[Listener] = []
        for each in self._listeners:
            each.start()
        strict_wait_s = STRICT_WAIT if strict_wait_s is None else strict_wait_s
        if not all(each.wait(strict_wait_s if strict else WAIT, patient=strict) for each in self._listeners):
            if strict:
                problem = next(filter(None, (each.problem for each in self._listeners)), "no answer")
                self.close()
                raise StoreUnavailable(f"no snapshot from Firestore within {strict_wait_s:.0f} s: {problem}")
            get_logger().warning("starting without the pantry's items; they follow once Firestore answers")

    def items(self) -> dict[str, int]:
        """Return all items by name, as of the last snapshot; none before the first one."""
        return self._memory.items()

    def get(self, item: str) -> Item:
        """Return one item, as of the last snapshot; raises NotFound, or StoreUnavailable before the first one."""
        if found := self._memory.get(item):
            return found
        if not self._listener.has_snapshot:
            raise StoreUnavailable(f"no snapshot from Firestore yet: {self._listener.problem or 'no answer'}")
        raise not_there(item)

    def put(self, item: str, count: int, key: Key | None = None) -> Item:
        """Set an item's count."""
        return self._change(Change("put", item, count), key)

    def add(self, item: str, quantity: int, key: Key | None = None) -> Item:
        """Add to an item's count, up to MAX_COUNT; a missing item starts from 0."""
        return self._change(Change("add", item, quantity), key)

    def remove(self, item: str, quantity: int, key: Key | None = None) -> Item:
        """Subtract from an item's count, not below 0; raises NotFound."""
        return self._change(Change("remove", item, quantity), key)

    def delete(self, item: str, key: Key | None = None) -> None:
        """Remove the item itself, and its examples; raises NotFound."""
        self._change(Change("delete", item), key)

    def _change(self, change: Change, key: Key | None) -> Item:
        item, entry = self._writer.change(change, key)
        if entry:
            tell(self.listeners, entry)
        return item

    def journal(
        self, cursor: str = "", limit: int = 100, item: str | None = None
    ) -> tuple[list[JournalEntry], str | None]:
        """Return journal entries, newest first, read from Firestore; raises InvalidRequest or StoreUnavailable."""
        return self._journal.page(cursor, limit, item)

    def undo(self, id: str, key: Key | None = None) -> JournalEntry:
        """Undo a journal entry, once; raises NotFound or Conflict."""
        entry, new = self._writer.undo(id, key)
        if new:
            tell(self.listeners, entry)
        return entry

    def examples(self) -> list[Example]:
        """Return all examples, as of the last snapshot, in the order of teaching."""
        return [each for each in self._examples.all() if self._memory.has(each.item)]

    def teach(self, item: str, examples: Sequence[Example]) -> None:
        """Store examples of an item, creating it if necessary; raises InvalidRequest."""
        self._writer.teach(item, examples)

    def forget(self, item: str, ids: Sequence[str] | None = None) -> int:
        """Remove examples of an item; raises NotFound."""
        return self._writer.forget(item, ids)

    def barcodes(self, cursor: str = "", limit: int = 1000) -> tuple[dict[str, str], str | None]:
        """Return codes with their items, by code, as of the last snapshot, and the next page's cursor."""
        return self._barcodes.page(cursor, limit)

    def items_of(self, codes: Sequence[str]) -> dict[str, str]:
        """Return those of the codes that have an item, with it, as of the last snapshot."""
        return self._barcodes.items_of(codes)

    def tie(self, code: str, item: str) -> None:
        """Assign a code to an item; raises InvalidRequest or StoreUnavailable."""
        if not self._barcodes.items_of([code]):
            check_room_for_barcode(len(self._barcodes))
        name = self._connection.document(f"{self._collection}_barcodes", document_id(code))
        response = self._writer.commit([{"update": {"name": name, "fields": written(code, item)}}])
        version = version_of(response.write_results[0].update_time)
        self._barcodes.apply_write(document_id(code), BarcodeEntry(code, item, version), version)

    def untie(self, code: str) -> None:
        """Remove a code; raises NotFound or StoreUnavailable."""
        if not self._barcodes.items_of([code]):
            raise not_tied(code)
        name = self._connection.document(f"{self._collection}_barcodes", document_id(code))
        response = self._writer.commit([{"delete": name}])
        self._barcodes.apply_write(document_id(code), None, version_of(response.commit_time))

    def stamp(self) -> Hashable:
        """Increases when an item or an example is added or removed."""
        return self._memory.stamp(), self._examples.stamp()

    def status(self) -> Status:
        """Stale while the connection is lost; the age is the time since the cache was last complete."""
        live = all(each.live for each in self._listeners)
        return Status("ok" if live else "stale", max(each.age() for each in self._listeners))

    def close(self) -> None:
        """Stop listening; acknowledged changes are in Firestore."""
        for each in self._listeners:
            each.close()
        self._connection.close()


def _report(document_id: str, odd: str) -> None:
    get_logger().warning("invalid document in the pantry", document=document_id, odd=odd)
