"""Idempotency keys in the pantry's SQLite file, each with the answer of its change."""

import sqlite3

from app.pantry import Item, Key
from app.pantry.changes import check_same

KEYS_KEPT = 100_000  # of each caller, so that no caller can evict another's keys
KEYS_KEPT_S = 24 * 3600

_EXPIRE_KEYS = "DELETE FROM keys WHERE at < ?"
_EVICT_KEYS = """DELETE FROM keys WHERE caller = :caller AND number <=
                 (SELECT number FROM keys WHERE caller = :caller ORDER BY number DESC LIMIT 1 OFFSET :kept)"""
_KEEP_KEY = "INSERT INTO keys (key, request, item, count, removed, at, caller) VALUES (?, ?, ?, ?, ?, ?, ?)"


def first_answer(connection: sqlite3.Connection, key: Key, now: float) -> Item | None:
    """Return the answer of the key's change, or None if it is new; raises InvalidRequest for another request."""
    connection.execute(_EXPIRE_KEYS, (now - KEYS_KEPT_S,))
    row = connection.execute("SELECT request, item, count, removed FROM keys WHERE key = ?", (key.id,)).fetchone()
    if row is None:
        return None
    check_same(key, row[0])
    return Item(*row[1:])


def keep(writer: sqlite3.Connection, key: Key, item: Item, now: float, kept: int) -> None:
    """Store a key with the answer of its change, and delete the caller's oldest beyond `kept`."""
    row = (key.id, key.request, item.item, item.count, item.removed, now, key.caller)
    number = writer.execute(_KEEP_KEY, row).lastrowid or 0
    if number % max(1, kept // 1000) == 0:  # it reads all keys of the caller
        writer.execute(_EVICT_KEYS, {"caller": key.caller, "kept": kept})
