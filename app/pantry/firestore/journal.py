"""Writes beside a change in Firestore: its journal entry in `<collection>_journal`, its key in `<collection>_keys`."""

import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from app.deadline import seconds_left
from app.errors import InvalidRequest
from app.pantry import Item, Key
from app.pantry.changes import check_same
from app.pantry.firestore.connection import Connection
from app.pantry.journal import JOURNAL_KEPT_S, Action, JournalEntry, no_such_entry, origin
from app.text import normalise

READ_DEADLINE = 4.0  # seconds for a page
_FAR = 2**63  # nanoseconds since 1970: in the year 2262
_ID = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}")
_TEXTS = ("by", "request", "action", "item", "undoes", "undone_by")
Write = dict[str, Any]


class Journal:
    """Creates the writes of entries, which are committed with the change itself, and reads entries."""

    def __init__(self, connection: Connection, collection: str) -> None:
        self._connection = connection
        self._collection = f"{collection}_journal"

    def entry(
        self, action: Action, item: str, before: int | None, after: int | None, undoes: str | None = None
    ) -> tuple[JournalEntry, Write]:
        """Create the entry of a change, and the write that stores it."""
        who, at = origin(), time.time()
        entry = JournalEntry(_id(at), at, who.by, who.request, action, item, before, after, undoes)
        return entry, {"update": {"name": self._name(entry.id), "fields": _written(entry)}} | _exists(False)

    def undoing(self, stored: "Stored", before: int | None, after: int | None) -> tuple[JournalEntry, list[Write]]:
        """Create the entry of an undo, and the writes that store both, on condition that it was not undone yet."""
        new, write = self.entry("undo", stored.entry.item, before, after, stored.entry.id)
        mark = {"name": self._name(stored.entry.id), "fields": {"undone_by": {"string_value": new.id}}}
        unchanged = {"update_mask": {"field_paths": ["undone_by"]}, "current_document": {"update_time": stored.version}}
        return new, [write, {"update": mark} | unchanged]

    def find(self, id: str, beside: str, deadline: float) -> tuple["Stored", Any | None]:
        """Return an entry, and another document read with it if named; raises NotFound or StoreUnavailable."""
        if not _ID.fullmatch(id):
            raise no_such_entry(id)
        documents = self._connection.read([self._name(id), beside] if beside else [self._name(id)], deadline)
        document = documents.get(self._name(id))
        entry = _read(document) if document and id < _oldest() else None
        if not document or not entry:
            raise no_such_entry(id)
        return Stored(entry, document.update_time), documents.get(beside)

    def page(self, cursor: str, limit: int, item: str | None) -> tuple[list[JournalEntry], str | None]:
        """Return entries from the newest, or after the cursor, which is the last entry before."""
        if cursor and not _ID.fullmatch(cursor):
            raise InvalidRequest("the cursor is not one of this service: send it unchanged")
        query: dict[str, Any] = {
            "from_": [{"collection_id": self._collection}],
            "order_by": [{"field": {"field_path": "__name__"}, "direction": "ASCENDING"}],
            "end_at": {"values": [{"reference_value": self._name(_oldest())}], "before": True},
            "limit": limit + 1,
        }
        if cursor:
            query["start_at"] = {"values": [{"reference_value": self._name(cursor)}], "before": False}
        if item is not None:
            name = {"field": {"field_path": "name"}, "op": "EQUAL", "value": {"string_value": normalise(item)}}
            query["where"] = {"field_filter": name}
        found = self._connection.query(query, time.monotonic() + seconds_left(READ_DEADLINE))
        entries = [entry for document in found[:limit] if (entry := _read(document))]
        return entries, found[limit - 1].name.rpartition("/")[2] if len(found) > limit else None

    def _name(self, id: str) -> str:
        return self._connection.document(self._collection, id)


@dataclass(frozen=True)
class Stored:
    """An entry, and the time of its document's last change."""

    entry: JournalEntry
    version: Any


def _id(at: float) -> str:
    return f"{_FAR - int(at * 1e9):016x}-{secrets.token_hex(4)}"


def _oldest() -> str:
    """Return the exclusive upper bound of valid ids: Firestore's own expiry may take days, or be disabled."""
    return _id(time.time() - JOURNAL_KEPT_S)


def _exists(there: bool) -> Write:
    return {"current_document": {"exists": there}}


def _written(entry: JournalEntry) -> dict[str, Any]:
    """Return an entry as the fields of its document; `name` is the normalised name of the item."""
    texts = {"by": entry.by, "request": entry.request, "action": entry.action, "item": entry.item}
    texts |= {"name": normalise(entry.item)} | ({"undoes": entry.undoes} if entry.undoes else {})
    counts = {"before": entry.before, "after": entry.after}
    return {
        **{field: {"string_value": text} for field, text in texts.items()},
        **{field: {"integer_value": count} for field, count in counts.items() if count is not None},
        "at": {"double_value": entry.at},
        "expires": {"timestamp_value": datetime.fromtimestamp(entry.at + JOURNAL_KEPT_S, UTC)},
    }


def _read(document: Any) -> JournalEntry | None:
    """Convert a document to an entry; None if another program has made it invalid."""
    fields = document.fields
    text = {field: fields[field].string_value for field in _TEXTS if field in fields}
    action = next((known for known in get_args(Action) if known == text.get("action")), None)
    if action is None or "item" not in text or "at" not in fields:
        return None
    before, after = (fields[field].integer_value if field in fields else None for field in ("before", "after"))
    return JournalEntry(
        document.name.rpartition("/")[2],
        fields["at"].double_value,
        text.get("by", ""),
        text.get("request", ""),
        action,
        text["item"],
        before,
        after,
        undoes=text.get("undoes"),
        undone_by=text.get("undone_by"),
    )


KEYS_KEPT = timedelta(days=1)


def _has_expired(known: Any) -> bool:
    """Return whether a key has expired: Firestore's own expiry may take days, or be disabled."""
    expires = known.fields["expires"].timestamp_value if "expires" in known.fields else None
    return expires is not None and expires.seconds <= time.time()


def key_write(key: Key, key_name: str, item: Item, expired: Any | None) -> dict[str, Any]:
    """Return the write of a key with the answer of its change, replacing an expired one.

    If the key was written meanwhile, the write fails together with the change.
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


def first_answer(key: Key, known: Any | None) -> Item | None:
    """Return the answer of the key's change, or None if it is new; raises InvalidRequest for another request."""
    if known is None or _has_expired(known):
        return None
    check_same(key, known.fields["request"].string_value)
    count, removed = (known.fields[name].integer_value for name in ("count", "removed"))
    return Item(known.fields["item"].string_value, count, removed)
