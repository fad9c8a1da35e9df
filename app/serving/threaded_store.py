"""Threads and a deadline for the blocking calls of one store, so that a slow store delays its own callers alone."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Generic, Protocol, TypeVar

from app.deadline import deadline_in
from app.errors import StoreUnavailable

DEADLINE_S = 4.5
STORE_DEADLINE_S = 4.0  # for the store itself, which knows best whether a change was stored
T = TypeVar("T")


class Store(Protocol):
    """A closable store with blocking methods."""

    def close(self) -> None:
        """Release resources."""
        ...


S = TypeVar("S", bound=Store)


class ThreadedStore(Generic[S]):
    """Adapts a store to the event loop: its calls run in threads, `threads` for reads and as many for changes.

    `await pantry.read(lambda store: store.get("rice"))` returns the result of `store.get("rice")`. A call raises
    StoreUnavailable if it is not done within `deadline_s`, including the wait for a thread, or if `max_waiting` calls
    are waiting. A call that has not started by then never starts; one that has keeps its thread until it ends. The
    store sees `store_deadline_s` as its deadline (app/deadline.py).
    """

    def __init__(
        self,
        name: str,
        store: S,
        *,
        threads: int = 16,
        max_waiting: int = 1000,
        deadline_s: float = DEADLINE_S,
        store_deadline_s: float = STORE_DEADLINE_S,
    ) -> None:
        self.store = store
        self._name = name
        self._max_waiting = max_waiting
        self._deadline_s = deadline_s
        self._store_deadline_s = store_deadline_s
        self._waiting = 0
        self._readers = ThreadPoolExecutor(threads, thread_name_prefix=f"{name} reads")
        self._writers = ThreadPoolExecutor(threads, thread_name_prefix=f"{name} changes")

    async def read(self, call: Callable[[S], T]) -> T:
        """Run a call that changes nothing and return its result."""
        return await self._run(self._readers, "", "", call)

    async def change(self, call: Callable[[S], T]) -> T:
        """Run a call that changes the store and return its result; StoreUnavailable tells whether it was stored."""
        stored = "; it is not known whether the change was stored"
        return await self._run(self._writers, "; nothing was stored", stored, call)

    def close(self) -> None:
        """Close the store and start no more calls; calls in progress end on their own."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._writers.shutdown(wait=False, cancel_futures=True)
        self.store.close()

    async def _run(self, pool: ThreadPoolExecutor, not_begun: str, begun: str, call: Callable[[S], T]) -> T:
        if self._waiting >= self._max_waiting:
            raise StoreUnavailable(f"{self._name}: {self._max_waiting} calls wait already{not_begun}")
        with deadline_in(self._store_deadline_s):
            running = pool.submit(copy_context().run, call, self.store)  # carries the request's id for logs and traces
        answer = asyncio.wrap_future(running)
        self._waiting += 1
        try:
            done, _ = await asyncio.wait({answer}, timeout=self._deadline_s)
            if not done:
                outcome = not_begun if running.cancel() else begun
                raise StoreUnavailable(f"{self._name}: no answer within {self._deadline_s:g} s{outcome}")
            return answer.result()
        finally:
            self._waiting -= 1
            answer.cancel()  # also if the caller has gone: a call that has not started never starts
