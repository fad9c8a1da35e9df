"""Items in the pantry's SQLite file: find them by any spelling of their names, and write them."""

import sqlite3

from app.pantry import Item
from app.text import normalise

_FIND = "SELECT item, count FROM items WHERE item = ?"
_ALIKE = "SELECT item, count FROM items WHERE item = ? OR item GLOB '*[^ -~]*' ORDER BY item"
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
