"""The deadline of a call to a store, as everything that the call waits for sees it: locks, files, other services."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)  # monotonic


@contextmanager
def deadline_in(seconds: float) -> Iterator[None]:
    """Set the deadline of what is called inside, in this context and in copies of it."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left(at_most: float) -> float:
    """Seconds until the deadline: `at_most`, also where no deadline is set, and never less than 0."""
    deadline = _deadline.get()
    return at_most if deadline is None else max(0.0, min(at_most, deadline - time.monotonic()))
