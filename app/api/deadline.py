"""Request deadline: cancels the work on a request on timeout or client disconnect."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.errors import InvalidRequest

HEADER = "X-Request-Timeout"
MAX_S = 60.0  # also the default
T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The work did not end before the deadline, and was cancelled."""


def seconds_of(header: str | None) -> float:
    """Return the seconds that a client is willing to wait. Raise InvalidRequest.

    >>> seconds_of("2.5"), seconds_of(None)
    (2.5, 60.0)
    """
    try:
        seconds = MAX_S if header is None else float(header)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_S:
        raise InvalidRequest(f"{HEADER}: {header!r} was found; seconds above 0, at most {MAX_S:g}, are allowed")
    return seconds


class Deadline:
    """The time by which all work on one request has to end, counted from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = asyncio.get_running_loop().time() + seconds

    async def run(self, work: Awaitable[T], disconnect: Callable[[], Awaitable[object]] = asyncio.Future) -> T | None:
        """Return the result of `work`, or None when `disconnect` returns first; then `work` is cancelled.

        Raise DeadlineExceeded, and whatever `work` raises.
        """
        remaining = max(0.0, self._at - asyncio.get_running_loop().time())
        working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(disconnect())
        try:
            done, _ = await asyncio.wait({working, leaving}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise DeadlineExceeded
            return working.result() if working in done else None
        finally:
            working.cancel()
            leaving.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)
