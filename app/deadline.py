"""The deadline of a call to a store, visible to everything that it waits for: locks, files, other services."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)  # monotonic


@contextmanager
def deadline_in(seconds: float) -> Iterator[None]:
    """Set the deadline of calls inside, in this context and in copies of it."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left(at_most: float) -> float:
    """Return the seconds until the deadline, 0 to `at_most`; `at_most` if no deadline is set."""
    deadline = _deadline.get()
    return at_most if deadline is None else max(0.0, min(at_most, deadline - time.monotonic()))
