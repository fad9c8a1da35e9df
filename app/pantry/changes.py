"""Changes of an item's count: the arithmetic that all stores share."""

from dataclasses import dataclass
from typing import Literal

from app.errors import Conflict, InvalidRequest, NotFound
from app.pantry import MAX_COUNT, MAX_ITEMS, Item, Key
from app.pantry.journal import JournalEntry


@dataclass(frozen=True)
class Change:
    """One change of one item; `quantity` is the count to set, or how many to add or remove."""

    operation: Literal["put", "add", "remove", "delete"]
    item: str
    quantity: int = 0

    def applied(self, before: int | None) -> Item:
        """Return the item afterwards, given its count before, None if it was missing; a deleted one has count 0.

        Raises NotFound if there is no item to remove from or to delete.

        >>> Change("remove", "rice", 5).applied(2)
        Item(item='rice', count=0, removed=2)
        """
        if self.operation == "put":
            return Item(self.item, self.quantity)
        if self.operation == "add":
            return Item(self.item, min((before or 0) + self.quantity, MAX_COUNT))
        if before is None:
            raise not_there(self.item)
        if self.operation == "delete":
            return Item(self.item, 0)
        taken = min(before, self.quantity)
        return Item(self.item, before - taken, removed=taken)


def undone(entry: JournalEntry, now: int | None, *, taught: bool) -> int | None:
    """Return the item's count after undoing an entry, given its current count: later changes stay. None: no item.

    An item that the entry created is deleted again, unless more of it was added or it was taught. Raises Conflict if
    the entry was undone before, or the current count does not allow it.

    >>> undone(JournalEntry("7", 0.0, "", "", "add", "rice", before=2, after=5), 4, taught=False)
    1
    """
    if entry.undone_by:
        raise Conflict(f"change {entry.id} was undone before, by change {entry.undone_by}")
    if now is None and entry.after is not None:
        raise Conflict(f"change {entry.id} cannot be undone: {entry.item!r} was deleted since")
    change = (entry.before or 0) - (entry.after or 0)
    count = (now or 0) + change
    if count < 0:
        raise Conflict(
            f"change {entry.id} cannot be undone: it would take {-change} {entry.item!r}, and {now} are left"
        )
    if count > MAX_COUNT:
        raise Conflict(f"change {entry.id} cannot be undone: {entry.item!r} would count more than {MAX_COUNT:,}")
    return None if entry.before is None and count == 0 and not taught else count


def not_there(item: str) -> NotFound:
    """Return the error for an item that the pantry does not have."""
    return NotFound(f"the pantry has no item {item!r}")


def check_room_for_item(item: str, have: int, most: int = MAX_ITEMS) -> None:
    """Raise InvalidRequest if a pantry of `have` items is full."""
    if have >= most:
        raise InvalidRequest(
            f"the pantry has {have:,} items, the most that it takes: delete some before adding {item!r}"
        )


def check_same(key: Key, request: str) -> None:
    """Raise InvalidRequest if the key came with another request before."""
    if key.request != request:
        raise InvalidRequest("this Idempotency-Key came with another request before; a new request needs a new key")
