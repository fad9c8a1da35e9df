"""Rows beside a change in the pantry's SQLite file: its journal entry, and its idempotency key with the answer."""

import sqlite3
import time
from dataclasses import replace

from app.errors import InvalidRequest
from app.pantry import Item, Key
from app.pantry.changes import check_same
from app.pantry.journal import JOURNAL_KEPT, JOURNAL_KEPT_S, Action, JournalEntry, no_such_entry, origin
from app.text import normalise

KEYS_KEPT = 100_000  # of each caller, so that no caller can evict another's keys
KEYS_KEPT_S = 24 * 3600
_EXPIRE_KEYS = "DELETE FROM keys WHERE at < ?"
_EVICT_KEYS = """DELETE FROM keys WHERE caller = :caller AND number <=
                 (SELECT number FROM keys WHERE caller = :caller ORDER BY number DESC LIMIT 1 OFFSET :kept)"""
_KEEP_KEY = "INSERT INTO keys (key, request, item, count, removed, at, caller) VALUES (?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "SELECT CAST(number AS TEXT), at, by, request, action, item, before, after, CAST(undoes AS TEXT), "
_COLUMNS += "CAST(undone_by AS TEXT) FROM journal "
_KEEP = """INSERT INTO journal (at, by, request, action, item, name, before, after, undoes)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_LAST = 2**63 - 1


def keep(
    writer: sqlite3.Connection,
    action: Action,
    item: str,
    before: int | None,
    after: int | None,
    *,
    undoes: JournalEntry | None = None,
    kept: int = JOURNAL_KEPT,
) -> JournalEntry:
    """Store the entry of a change, and delete entries that are too old or too many."""
    who = origin()
    entry = JournalEntry(
        "", time.time(), who.by, who.request, action, item, before, after, undoes.id if undoes else None
    )
    row = (entry.at, entry.by, entry.request, action, item, normalise(item), before, after, entry.undoes)
    number = writer.execute(_KEEP, row).lastrowid or 0
    if undoes:
        writer.execute("UPDATE journal SET undone_by = ? WHERE number = ?", (number, undoes.id))
    writer.execute("DELETE FROM journal WHERE number <= ? OR at < ?", (number - kept, _oldest()))
    return replace(entry, id=str(number))


def find(connection: sqlite3.Connection, id: str) -> JournalEntry:
    """Return one entry; raises NotFound."""
    number = _number(id)
    row = connection.execute(_COLUMNS + "WHERE number = ? AND at >= ?", (number, _oldest())).fetchone()
    if row is None:
        raise no_such_entry(id)
    return JournalEntry(*row)


def page(
    connection: sqlite3.Connection, cursor: str, limit: int, item: str | None
) -> tuple[list[JournalEntry], str | None]:
    """Return entries from the newest, or after the cursor, which is the last entry before; raises InvalidRequest."""
    before = _number(cursor) if cursor else _LAST
    if before is None:
        raise InvalidRequest("the cursor is not one of this service: send it unchanged")
    where = "WHERE number < ? AND at >= ? "
    values: list[float | str] = [before, _oldest()]
    if item is not None:
        where, values = where + "AND name = ? ", [*values, normalise(item)]
    rows = connection.execute(_COLUMNS + where + "ORDER BY number DESC LIMIT ?", [*values, limit + 1]).fetchall()
    entries = [JournalEntry(*row) for row in rows[:limit]]
    return entries, entries[-1].id if len(rows) > limit else None


def _oldest() -> float:
    """Return the time of the oldest entry within the retention."""
    return time.time() - JOURNAL_KEPT_S


def _number(text: str) -> int | None:
    """Parse an id to a number, None if it is invalid."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def first_answer(connection: sqlite3.Connection, key: Key, now: float) -> Item | None:
    """Return the answer of the key's change, or None if it is new; raises InvalidRequest for another request."""
    connection.execute(_EXPIRE_KEYS, (now - KEYS_KEPT_S,))
    row = connection.execute("SELECT request, item, count, removed FROM keys WHERE key = ?", (key.id,)).fetchone()
    if row is None:
        return None
    check_same(key, row[0])
    return Item(*row[1:])


def keep_key(writer: sqlite3.Connection, key: Key, item: Item, now: float, kept: int) -> None:
    """Store a key with the answer of its change, and delete the caller's oldest beyond `kept`."""
    row = (key.id, key.request, item.item, item.count, item.removed, now, key.caller)
    number = writer.execute(_KEEP_KEY, row).lastrowid or 0
    if number % max(1, kept // 1000) == 0:  # it reads all keys of the caller
        writer.execute(_EVICT_KEYS, {"caller": key.caller, "kept": kept})
