"""The event stream: a bounded log of the newest events, and followers that read it from their own position.

A follower has no queue: it keeps the number of the last event that it has read. So a slow one costs nothing, and one
that falls behind the oldest stored event can count what it missed.
"""

import asyncio
import json
import re
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any, Literal, Protocol

from app.errors import Overloaded
from app.pantry.journal import JournalEntry

KEPT = 1000  # events
MAX_LISTENERS = 32
Kind = Literal["change", "recognition"]


@dataclass(frozen=True)
class Event:
    """One event; `number` increases by one from 1 after each start of the service."""

    number: int
    id: str
    kind: Kind
    at: float
    """Seconds since 1970."""
    data: Mapping[str, Any]

    @cached_property
    def json(self) -> str:
        """Serialise the event for all transports."""
        form = {"id": self.id, "type": self.kind, "timestamp": _utc(self.at), "data": self.data}
        return json.dumps(form)  # ASCII, because many clients treat characters other than \n as line ends


class Follower(Protocol):
    """Forwards events from the start of the service to its end."""

    async def run(self, hub: "Hub") -> None:
        """Follow until the hub is closed."""
        ...


class Hub:
    """A log of the newest events. `publish` and `wake` may be called from any thread, the rest from the event loop."""

    def __init__(self, kept: int = KEPT, max_listeners: int = MAX_LISTENERS) -> None:
        self._start = secrets.token_hex(6)  # distinguishes the ids of this start from those of another
        self._events: deque[Event] = deque(maxlen=kept)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._max_listeners = max_listeners
        self.latest = 0
        """The number of the newest event."""
        self.closed = False
        """True once no more events will come: `wait` returns at once."""
        self.listeners = 0
        """Number of listening connections."""

    def publish(self, kind: Kind, data: Mapping[str, Any]) -> None:
        """Append an event. Takes microseconds and waits for no follower."""
        with self._lock:
            number = self.latest + 1
            self._events.append(Event(number, self.id_of(number), kind, time.time(), data))
            self.latest = number
        self.wake()

    def publish_change(self, entry: JournalEntry) -> None:
        """Append a change of the pantry, in the form of `GET /journal`; registered as a listener of the journal."""
        about = asdict(entry) | {"at": _utc(entry.at), "by": entry.by or None, "request_id": entry.request or None}
        del about["request"]
        self.publish("change", about)

    def wake(self) -> None:
        """Make every `wait` return."""
        if self._waiting and self._loop:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End all followers."""
        self.closed = True
        self.wake()

    def since(self, number: int) -> list[Event]:
        """Return the stored events after a number, oldest first."""
        with self._lock:
            new = min(self.latest - number, len(self._events))
            return list(islice(self._events, len(self._events) - new, None)) if new > 0 else []

    def missed(self, number: int) -> int:
        """Return how many events after a number are no longer stored."""
        with self._lock:
            return max(0, self.latest - len(self._events) - number)

    async def wait(self, number: int, timeout_s: float | None = None) -> bool:
        """Wait for an event after a number, or for `wake`; return False on timeout."""
        self._loop = asyncio.get_running_loop()
        waiter = self._loop.create_future()
        self._waiting.add(waiter)
        try:
            if self.closed or self.latest > number:
                return True
            await asyncio.wait({waiter}, timeout=timeout_s)
            return waiter.done()
        finally:
            self._waiting.discard(waiter)

    async def pause(self, seconds: float) -> None:
        """Sleep until the timeout or `close`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self.closed and (left := end - loop.time()) > 0:
            await self.wait(sys.maxsize, left)

    def id_of(self, number: int) -> str:
        """Return the id of an event on the wire."""
        return f"{self._start}-{number}"

    def number_of(self, id: str) -> int | None:
        """Parse an id into the number of an event of this start; None for any other text."""
        start, _, number = id.partition("-")
        known = start == self._start and re.fullmatch("[0-9]{1,18}", number) and int(number) <= self.latest
        return int(number) if known else None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count a listening connection. Raises Overloaded if there are too many."""
        if self.listeners >= self._max_listeners:
            raise Overloaded(f"{self.listeners} connections listen for events already")
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
