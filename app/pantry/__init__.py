"""The pantry store protocol: items by name, each with a count."""

import unicodedata
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.errors import InvalidRequest, StoreUnavailable
from app.pantry.examples import Example
from app.pantry.journal import JournalEntry, Listener
from app.text import first_invisible, lower_name

MAX_COUNT = 1_000_000_000
MAX_ITEMS = 100_000  # each is a label that every picture is compared with
MAX_NAME = 200
_MAX_RAW = 10 * MAX_NAME  # before cleaning, which may shorten a name: HTML entities, spaces


@dataclass(frozen=True)
class Item:
    """An item and its count; after a `remove`, also how many were removed."""

    item: str
    count: int
    removed: int = 0


@dataclass(frozen=True)
class Key:
    """An idempotency key: the caller's own text, and a digest of its request.

    Repeating a change with the same text and request has no effect and returns the first answer.
    """

    text: str
    request: str
    caller: str = ""
    """The caller, empty if unknown: the same text from two callers is two keys."""

    @property
    def id(self) -> str:
        """Identifies the key among all callers."""
        return f"{self.caller} {self.text}" if self.caller else self.text


@dataclass(frozen=True)
class Status:
    """The pantry's state, "ok", "stale" (served from memory) or "none", and the age of the served data, s."""

    status: str
    age_s: float


class PantryStore(Protocol):
    """Items with counts. Every change is atomic, and durable when the call returns.

    Names are as `item_name` returns them; names with the same `normalise` key are one item, which keeps its spelling,
    and every answer uses that. Every method may block, may be called from several threads, and raises StoreUnavailable
    if the store cannot be reached; its message tells whether the change may still have been stored. A change with a
    `key` is applied once, however often it is sent within a day; it raises InvalidRequest if the key came with another
    request before. A refused change is not remembered.

    Each change of a count is an entry of the journal, in the same transaction, with the origin set by `acting_as`.
    After the commit, the `listeners` of the store that made it are called, in the thread of the change.
    """

    listeners: list[Listener]

    def items(self) -> dict[str, int]:
        """Return all items, sorted by name."""
        ...

    def get(self, item: str) -> Item:
        """Return one item; raises NotFound."""
        ...

    def put(self, item: str, count: int, key: Key | None = None) -> Item:
        """Set an item's count; creates the item if necessary."""
        ...

    def add(self, item: str, quantity: int, key: Key | None = None) -> Item:
        """Add to an item's count, up to MAX_COUNT; a missing item starts from 0."""
        ...

    def remove(self, item: str, quantity: int, key: Key | None = None) -> Item:
        """Subtract from an item's count, not below 0, and return the number removed; raises NotFound."""
        ...

    def delete(self, item: str, key: Key | None = None) -> None:
        """Remove the item itself, and its examples; raises NotFound."""
        ...

    def journal(
        self, cursor: str = "", limit: int = 100, item: str | None = None
    ) -> tuple[list[JournalEntry], str | None]:
        """Return journal entries, newest first, of one item or all, and the next page's cursor, None at the end.

        Raises InvalidRequest for an invalid cursor.
        """
        ...

    def undo(self, id: str, key: Key | None = None) -> JournalEntry:
        """Undo a journal entry, once, and return the entry of the undo; later changes of the item stay.

        Raises NotFound, or Conflict if it was undone before or the current count does not allow it.
        """
        ...

    def examples(self) -> list[Example]:
        """Return all examples, of any model, each item's in the order of teaching."""
        ...

    def teach(self, item: str, examples: Sequence[Example]) -> None:
        """Store examples of an item, all or none; a new item is created with count 0.

        Raises InvalidRequest if the item would have more than MAX_EXAMPLES.
        """
        ...

    def forget(self, item: str, ids: Sequence[str] | None = None) -> int:
        """Remove named examples of an item, or all, and return their number; raises NotFound for an unknown name."""
        ...

    def barcodes(self, cursor: str = "", limit: int = 1000) -> tuple[dict[str, str], str | None]:
        """Return codes with their items, by code, after the cursor, and the next page's cursor or None."""
        ...

    def items_of(self, codes: Sequence[str]) -> dict[str, str]:
        """Return those of the codes that have an item, with it."""
        ...

    def tie(self, code: str, item: str) -> None:
        """Assign a code, as `barcode` normalises it, to an item, in the pantry or not, replacing an earlier one.

        Raises InvalidRequest if MAX_BARCODES are assigned.
        """
        ...

    def untie(self, code: str) -> None:
        """Remove a code; raises NotFound."""
        ...

    def stamp(self) -> Hashable:
        """Return a value that changes with the items' names and examples, not with counts."""
        ...

    def status(self) -> Status:
        """Return the state of the store; never blocks."""
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


def known_items(store: PantryStore) -> dict[str, int]:
    """Return all items by name; raises StoreUnavailable if the store is away and none was read yet."""
    found = store.items()
    if not found and store.status().status == "stale":
        raise StoreUnavailable("the pantry is unavailable, and no item was read from it yet")
    return found


def item_name(text: str) -> str:
    """Return the spelling under which an item is stored: cleaned as prompts are, lower case, single spaces.

    Joiners, variation selectors and regional flags are allowed where they shape a word or an emoji. Raises
    InvalidRequest for a name that is blank, too long, or contains a slash or another invisible character, which the
    message names.

    >>> item_name(" Soy  Sauce ")
    'soy sauce'
    """
    name = lower_name(text) if len(text) <= _MAX_RAW else text
    if not 1 <= len(name) <= MAX_NAME:
        found = f"{len(name):,} characters"
    elif wrong := _wrong_character(text, name):
        found = f"the character U+{ord(wrong):04X} {unicodedata.name(wrong, '')}".rstrip()
    else:
        return name
    rule = f"1 to {MAX_NAME} visible ones without '/' are allowed"
    raise InvalidRequest(f"invalid item name {text[:50]!r}: it has {found}; {rule}")


def _wrong_character(text: str, name: str) -> str | None:
    """Return a character that is not allowed in names: a slash, an invisible one, or one that cleaning removes."""
    dropped = next((char for char in " ".join(text.split()) if unicodedata.category(char) in ("Cc", "Cs")), None)
    return dropped or ("/" if "/" in name else first_invisible(name))
