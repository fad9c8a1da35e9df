"""Barcodes in the pantry's SQLite file."""

import json
import sqlite3
from collections.abc import Sequence

from app.pantry.barcodes import check_room_for_barcode, not_tied

SCHEMA = "CREATE TABLE IF NOT EXISTS barcodes (code TEXT PRIMARY KEY, item TEXT NOT NULL) STRICT, WITHOUT ROWID;"
_TIE = "INSERT INTO barcodes VALUES (?, ?) ON CONFLICT (code) DO UPDATE SET item = excluded.item"


def page(connection: sqlite3.Connection, cursor: str, limit: int) -> tuple[dict[str, str], str | None]:
    """Return codes with their items, from the first or after the cursor, which is the last code before."""
    query = "SELECT code, item FROM barcodes WHERE code > ? ORDER BY code LIMIT ?"
    rows = connection.execute(query, (cursor, limit + 1)).fetchall()
    return dict(rows[:limit]), rows[limit - 1][0] if len(rows) > limit else None


def items_of(connection: sqlite3.Connection, codes: Sequence[str]) -> dict[str, str]:
    """Return those of the codes that have an item, with it."""
    query = "SELECT code, item FROM barcodes WHERE code IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(query, (json.dumps(list(codes)),)).fetchall())


def tie(writer: sqlite3.Connection, code: str, item: str) -> None:
    """Assign a code to an item; raises InvalidRequest."""
    if not items_of(writer, [code]):
        check_room_for_barcode(int(writer.execute("SELECT count(*) FROM barcodes").fetchone()[0]))
    writer.execute(_TIE, (code, item))


def untie(writer: sqlite3.Connection, code: str) -> None:
    """Remove a code; raises NotFound."""
    if not writer.execute("DELETE FROM barcodes WHERE code = ?", (code,)).rowcount:
        raise not_tied(code)
