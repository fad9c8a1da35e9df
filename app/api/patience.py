"""How long a request is worked on: until its time is over or its client has gone."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.errors import InvalidRequest, Overloaded

LONGEST = 60.0  # seconds, for those that ask for nothing else
T = TypeVar("T")

HEADER = "X-Request-Timeout"


def seconds_of(header: str | None) -> float:
    """The seconds that a client is willing to wait; raises InvalidRequest.

    >>> seconds_of("2.5"), seconds_of(None)
    (2.5, 60.0)
    """
    try:
        seconds = LONGEST if header is None else float(header)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST:
        raise InvalidRequest(f"{HEADER}: {header!r} was found; seconds above 0, at most {LONGEST:g}, are allowed")
    return seconds


async def with_patience(work: Awaitable[T], gone: Callable[[], Awaitable[object]], seconds: float) -> T | None:
    """What the work gives, None when `gone` returns first: then, and when the time is over, the work is cancelled.

    Raises Overloaded when it takes longer than `seconds`, and what the work raises.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        done, _ = await asyncio.wait({working, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise Overloaded(f"not done within {seconds:g} s; a change may have been carried out all the same")
        return working.result() if working in done else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
