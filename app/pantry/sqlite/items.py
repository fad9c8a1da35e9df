"""Items in the pantry's SQLite file, found under any spelling of their names; and the barcodes tied to them."""

import json
import sqlite3
from collections.abc import Sequence

from app.pantry import Item
from app.pantry.barcodes import check_room_for_barcode, not_tied
from app.text import normalise

_FIND = "SELECT item, count FROM items WHERE item = ?"
_ALIKE = "SELECT item, count FROM items WHERE item = ? OR item GLOB '*[^ -~]*' ORDER BY item"
_TIE = "INSERT INTO barcodes VALUES (?, ?) ON CONFLICT (code) DO UPDATE SET item = excluded.item"
_PUT = "INSERT INTO items VALUES (:item, :count) ON CONFLICT (item) DO UPDATE SET count = :count"


def find(connection: sqlite3.Connection, item: str) -> Item | None:
    """Return the stored item, under this spelling or another one of the same name."""
    if row := connection.execute(_FIND, (item,)).fetchone():
        return Item(*row)
    key = normalise(item)  # also the spelling of a name in ASCII
    rows = connection.execute(_ALIKE, (key,))
    return next((Item(*row) for row in rows if normalise(row[0]) == key), None)


def item_count(connection: sqlite3.Connection) -> int:
    """Return the number of items."""
    return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])


def own_name(connection: sqlite3.Connection, item: str) -> str:
    """Return the name under which an item is stored, or this one."""
    found = find(connection, item)
    return found.item if found else item


def write(writer: sqlite3.Connection, item: str, count: int | None) -> None:
    """Set an item's count; None deletes it."""
    if count is None:
        writer.execute("DELETE FROM items WHERE item = ?", (item,))
    else:
        writer.execute(_PUT, {"item": item, "count": count})


def page_of_barcodes(connection: sqlite3.Connection, cursor: str, limit: int) -> tuple[dict[str, str], str | None]:
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
