"""The SQLite pantry store: each change is a transaction, with its key and its journal entry."""

import sqlite3
import time
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path

from app.pantry import MAX_ITEMS, Item, Key, Status
from app.pantry.changes import Change, check_room_for_item, not_there, undone
from app.pantry.examples import Example, check_room, chosen, from_bytes, not_kept_yet, to_bytes
from app.pantry.journal import JOURNAL_KEPT, JournalEntry, Listener, tell
from app.pantry.sqlite import items, journal
from app.pantry.sqlite.schema import SCHEMA, upgrade
from app.sqlite_file import TIMEOUT_S, SQLiteFile

_REVISION = "SELECT coalesce(max(number), 0) FROM revision"
_EXAMPLES = "SELECT number, id, item, model, vector, at FROM examples WHERE number > ? ORDER BY number"
_KEEP_EXAMPLE = "INSERT INTO examples (id, item, model, vector, at) VALUES (?, ?, ?, ?, ?)"


class SQLitePantry:
    """A PantryStore in one file. A change is one transaction, synced to disk before the call returns."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int | None = None,
        timeout_s: float = TIMEOUT_S,
        keys_kept: int = journal.KEYS_KEPT,
        max_items: int = MAX_ITEMS,
        journal_kept: int = JOURNAL_KEPT,
    ) -> None:
        """Open the file, created if missing; raises StoreUnavailable."""
        self._file = SQLiteFile("the pantry", path, SCHEMA, max_bytes=max_bytes, timeout_s=timeout_s)
        self.listeners: list[Listener] = []
        self._journal_kept = journal_kept
        self._keys_kept = keys_kept
        self._max_items = max_items
        upgrade(self._file)
        self._examples: tuple[int, dict[int, Example]] = (-1, {})  # revision, and its examples by number

    def items(self) -> dict[str, int]:
        """Return all items, sorted by name."""
        with self._file.reader() as reader:
            return dict(reader.execute("SELECT item, count FROM items ORDER BY item").fetchall())

    def get(self, item: str) -> Item:
        """Return one item; raises NotFound."""
        with self._file.reader() as reader:
            found = items.find(reader, item)
        if found is None:
            raise not_there(item)
        return found

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

    def journal(
        self, cursor: str = "", limit: int = 100, item: str | None = None
    ) -> tuple[list[JournalEntry], str | None]:
        """Return journal entries, newest first, and the next page's cursor; raises InvalidRequest."""
        with self._file.reader() as reader:
            return journal.page(reader, cursor, limit, item)

    def undo(self, id: str, key: Key | None = None) -> JournalEntry:
        """Undo a journal entry, once; raises NotFound or Conflict."""
        with self._file.transaction() as writer:
            now = time.time()
            repeated = bool(key and journal.first_answer(writer, key, now))
            entry = journal.find(writer, id)
            if repeated and entry.undone_by:
                return journal.find(writer, entry.undone_by)
            found = items.find(writer, entry.item)
            before, item = (found.count, found.item) if found else (None, entry.item)
            after = undone(entry, before, taught=bool(_example_ids(writer, item)))
            if before is None:
                check_room_for_item(item, items.item_count(writer), self._max_items)
            items.write(writer, item, after)
            new = journal.keep(writer, "undo", item, before, after, undoes=entry, kept=self._journal_kept)
            if key:
                journal.keep_key(writer, key, Item(item, after or 0), now, self._keys_kept)
        tell(self.listeners, new)
        return new

    def examples(self) -> list[Example]:
        """Return all examples, in the order of teaching; reads only new ones."""
        with self._file.reader() as reader:
            reader.execute("BEGIN")
            revision = reader.execute(_REVISION).fetchone()[0]
            known, examples = self._examples
            if revision != known:
                items = dict(reader.execute("SELECT number, item FROM examples ORDER BY number").fetchall())
                if any(each.item != items.get(number, each.item) for number, each in examples.items()):
                    examples = {}  # another program has renamed items
                rows = reader.execute(_EXAMPLES, (max(examples, default=0),))
                examples = examples | {
                    number: Example(id, item, model, from_bytes(data), at) for number, id, item, model, data, at in rows
                }
                examples = {number: examples[number] for number in items}
                self._examples = (revision, examples)
            reader.execute("COMMIT")
        return list(examples.values())

    def teach(self, item: str, examples: Sequence[Example]) -> None:
        """Store examples of an item, creating it if necessary; raises InvalidRequest."""
        with self._file.transaction() as writer:
            item = items.own_name(writer, item)
            have = _example_ids(writer, item)
            new = not_kept_yet(examples, have)
            check_room(item, len(have), len(new))
            if items.find(writer, item) is None:
                check_room_for_item(item, items.item_count(writer), self._max_items)
            writer.execute("INSERT OR IGNORE INTO items VALUES (?, 0)", (item,))
            rows = [(each.id, item, each.model, to_bytes(each.vector), each.at) for each in new]
            writer.executemany(_KEEP_EXAMPLE, rows)

    def forget(self, item: str, ids: Sequence[str] | None = None) -> int:
        """Remove examples of an item; raises NotFound."""
        with self._file.transaction() as writer:
            item = items.own_name(writer, item)
            gone = chosen(item, _example_ids(writer, item), ids)
            writer.executemany("DELETE FROM examples WHERE id = ?", [(id,) for id in gone])
        return len(gone)

    def barcodes(self, cursor: str = "", limit: int = 1000) -> tuple[dict[str, str], str | None]:
        """Return codes with their items, by code, and the next page's cursor."""
        with self._file.reader() as reader:
            return items.page_of_barcodes(reader, cursor, limit)

    def items_of(self, codes: Sequence[str]) -> dict[str, str]:
        """Return those of the codes that have an item, with it."""
        with self._file.reader() as reader:
            return items.items_of(reader, codes)

    def tie(self, code: str, item: str) -> None:
        """Assign a code to an item; raises InvalidRequest."""
        with self._file.transaction() as writer:
            items.tie(writer, code, item)

    def untie(self, code: str) -> None:
        """Remove a code; raises NotFound."""
        with self._file.transaction() as writer:
            items.untie(writer, code)

    def stamp(self) -> Hashable:
        """Return the revision of names and examples, which triggers keep in the file."""
        with self._file.reader() as reader:
            return int(reader.execute(_REVISION).fetchone()[0])

    def status(self) -> Status:
        """Return "ok": the file is read at every change."""
        return Status("ok", 0.0)

    def close(self) -> None:
        """Close the file; acknowledged changes are in it."""
        self._file.close()

    def _change(self, change: Change, key: Key | None) -> Item:
        """Apply a change unless its key was applied before; key and entry are stored in the same transaction."""
        with self._file.transaction() as writer:
            now = time.time()
            if key and (answer := journal.first_answer(writer, key, now)):
                return answer
            found = items.find(writer, change.item)
            before = found.count if found else None
            change = replace(change, item=found.item if found else change.item)
            item = change.applied(before)
            if found is None:
                check_room_for_item(item.item, items.item_count(writer), self._max_items)
            after = None if change.operation == "delete" else item.count
            items.write(writer, item.item, after)
            entry = None
            if before != after:
                entry = journal.keep(writer, change.operation, item.item, before, after, kept=self._journal_kept)
            if key:
                journal.keep_key(writer, key, item, now, self._keys_kept)
        if entry:
            tell(self.listeners, entry)
        return item


def _example_ids(connection: sqlite3.Connection, item: str) -> list[str]:
    return [id for (id,) in connection.execute("SELECT id FROM examples WHERE item = ? ORDER BY number", (item,))]
