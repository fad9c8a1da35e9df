"""The journal of the pantry: changes of counts, with time and origin."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from app.errors import NotFound
from app.log import get_logger

JOURNAL_KEPT_S = 90 * 24 * 3600
JOURNAL_KEPT = 100_000  # newest entries kept in SQLite; Firestore keeps all for the same time

Action = Literal["put", "add", "remove", "delete", "undo"]


@dataclass(frozen=True)
class JournalEntry:
    """One change of one item's count, stored in the same transaction as the count itself.

    `before` and `after` are None if the item was missing. A change that leaves the count equal has no entry.
    """

    id: str
    at: float
    """Time, seconds since 1970."""
    by: str
    """The name of the API key, empty without keys."""
    request: str
    """The request's id, empty for a change by a command."""
    action: Action
    item: str
    before: int | None
    after: int | None
    undoes: str | None = None
    """The entry that this one undid."""
    undone_by: str | None = None
    """The entry that undid this one."""


Listener = Callable[[JournalEntry], None]


@dataclass(frozen=True)
class Origin:
    """The origin of a change: API key or command, and request."""

    by: str = ""
    request: str = ""


_origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


def origin() -> Origin:
    """Return the origin of changes in this context."""
    return _origin.get() or Origin()


@contextmanager
def acting_as(new: Origin) -> Iterator[None]:
    """Set the origin of changes inside, in this context and in copies of it."""
    token = _origin.set(new)
    try:
        yield
    finally:
        _origin.reset(token)


def tell(listeners: Sequence[Listener], entry: JournalEntry) -> None:
    """Call the listeners with a committed change; their failures are logged and do not propagate.

    They are called in the thread of the change, so a listener must not block.
    """
    for hear in listeners:
        try:
            hear(entry)
        except Exception:
            get_logger().exception("a listener of the journal failed")


def no_such_entry(id: str) -> NotFound:
    """Return the error for an entry that the journal does not have, or no longer has."""
    return NotFound(f"the journal has no change {id[:100]!r}: it keeps {JOURNAL_KEPT_S // 86400} days")
