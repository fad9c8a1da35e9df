"""What a pantry is: items by name, each with a count."""

import unicodedata
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.errors import InvalidRequest, StoreUnavailable
from app.pantry.examples import Example
from app.pantry.journal import JournalEntry, Listener
from app.text import first_invisible, lower_name

MAX_COUNT = 1_000_000_000
MAX_ITEMS = 100_000  # each is a label, which every picture is compared with
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
    """An idempotency key: the caller's own text, and a digest of the request that it came with.

    A change that is repeated with the same text and request changes nothing and gets the first answer.
    """

    text: str
    request: str
    caller: str = ""
    """The caller, empty if unknown: equal texts of two callers are two keys."""

    @property
    def id(self) -> str:
        """Identifies the key among those of all callers."""
        return f"{self.caller} {self.text}" if self.caller else self.text


@dataclass(frozen=True)
class Status:
    """The pantry's state, "ok", "stale" (served from memory) or "none", and the age of what is served, in seconds."""

    status: str
    age_s: float


class PantryStore(Protocol):
    """Items with counts. Every change is atomic, and stored for good when the call returns.

    Names are as `item_name` makes them; names with one key of `normalise` are one item, which keeps the name it has,
    and every answer has that name. Every method may block, may be called from several threads, and raises
    StoreUnavailable when the store cannot be reached; its message says whether the change may still have been stored.
    A change with a `key` is applied once, however often it is sent within a day; it raises InvalidRequest when the key
    came with another request before. A change that was refused is not remembered.

    What changes a count is an entry of the journal, in the same transaction, with the origin that `acting_as` set. Once
    it is committed, the `listeners` of the store that made it hear of it, in the thread of the change.
    """

    listeners: list[Listener]

    def items(self) -> dict[str, int]:
        """All items by name, in the order of their names."""
        ...

    def get(self, item: str) -> Item:
        """One item; raises NotFound."""
        ...

    def put(self, item: str, count: int, key: Key | None = None) -> Item:
        """Set an item's count; creates the item if necessary."""
        ...

    def add(self, item: str, quantity: int, key: Key | None = None) -> Item:
        """Add to an item's count, up to MAX_COUNT; an item that is not there starts from 0."""
        ...

    def remove(self, item: str, quantity: int, key: Key | None = None) -> Item:
        """Subtract from an item's count, to 0 at least, and return how many were removed; raises NotFound."""
        ...

    def delete(self, item: str, key: Key | None = None) -> None:
        """Remove the item itself, and its examples; raises NotFound."""
        ...

    def journal(
        self, cursor: str = "", limit: int = 100, item: str | None = None
    ) -> tuple[list[JournalEntry], str | None]:
        """Entries of the journal, newest first, of one item or all, and the cursor of the next page, None at the end.

        Raises InvalidRequest for a cursor that is not one of these.
        """
        ...

    def undo(self, id: str, key: Key | None = None) -> JournalEntry:
        """Undo an entry of the journal, once, and return the entry that says so; later changes of the item stay.

        Raises NotFound, or Conflict where it was undone before or the count now does not allow it.
        """
        ...

    def examples(self) -> list[Example]:
        """All examples of the items, of whatever model, each item's in the order in which they were taught."""
        ...

    def teach(self, item: str, examples: Sequence[Example]) -> None:
        """Store examples of an item, all or none; a new item is created with count 0.

        Raises InvalidRequest when the item would have more than MAX_EXAMPLES.
        """
        ...

    def forget(self, item: str, ids: Sequence[str] | None = None) -> int:
        """Remove the named examples of an item, or all, and return how many; raises NotFound for an unknown name."""
        ...

    def barcodes(self, cursor: str = "", limit: int = 1000) -> tuple[dict[str, str], str | None]:
        """Codes and the items they are tied to, by code, behind the cursor, and the cursor of the next page or None."""
        ...

    def items_of(self, codes: Sequence[str]) -> dict[str, str]:
        """Those of the codes that are tied to items, with these."""
        ...

    def tie(self, code: str, item: str) -> None:
        """Tie a code, as `barcode` makes it, to an item, whether the pantry has that or not, in place of another one.

        Raises InvalidRequest when MAX_BARCODES are tied.
        """
        ...

    def untie(self, code: str) -> None:
        """Forget a code; raises NotFound."""
        ...

    def stamp(self) -> Hashable:
        """A value that changes with the items' names and examples, not with counts."""
        ...

    def status(self) -> Status:
        """The state of the store; never blocks."""
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


def known_items(store: PantryStore) -> dict[str, int]:
    """All items by name; raises StoreUnavailable where the store is away, and none was read yet."""
    found = store.items()
    if not found and store.status().status == "stale":
        raise StoreUnavailable("the pantry is unavailable, and no item was read from it yet")
    return found


def item_name(text: str) -> str:
    """The spelling under which an item is stored: cleaned as prompts are, lower case, single spaces.

    Joiners, variation selectors and flags of regions are allowed where they shape a word or an emoji. Raises
    InvalidRequest for a name that is blank, too long, or has a slash or another invisible character, which it names.

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
    """A character that names may not have: a slash, an invisible one, or one that cleaning drops."""
    dropped = next((char for char in " ".join(text.split()) if unicodedata.category(char) in ("Cc", "Cs")), None)
    return dropped or ("/" if "/" in name else first_invisible(name))
