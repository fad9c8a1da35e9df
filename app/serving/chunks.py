"""Process sequences in chunks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def chunks(size: int, some: Sequence[A]) -> Iterator[Sequence[A]]:
    """Yield a sequence in chunks of `size`."""
    for start in range(0, len(some), size):
        yield some[start : start + size]


async def gather_in_chunks(size: int, work: Callable[[A], Awaitable[B]], some: Sequence[A]) -> list[B]:
    """Apply `work` to each element concurrently, `size` at a time."""
    return [made for chunk in chunks(size, some) for made in await asyncio.gather(*map(work, chunk))]
