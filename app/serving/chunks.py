"""Some of many at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def chunks(size: int, some: Sequence[A]) -> Iterator[Sequence[A]]:
    """A sequence in pieces of `size`."""
    for start in range(0, len(some), size):
        yield some[start : start + size]


async def gather_in_chunks(size: int, work: Callable[[A], Awaitable[B]], some: Sequence[A]) -> list[B]:
    """What `work` makes of each, `size` at a time."""
    return [made for chunk in chunks(size, some) for made in await asyncio.gather(*map(work, chunk))]
