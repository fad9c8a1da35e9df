"""Calls of a store: in separate threads, bounded, each with a deadline."""

import asyncio
import threading

import pytest

from app.deadline import seconds_left
from app.errors import StoreUnavailable
from app.serving.threaded_store import ThreadedStore

LONG = 60.0  # seconds; bounds a hang only


@pytest.fixture
def release():
    """End every call that waits for it."""
    event = threading.Event()
    yield event
    event.set()


class Numbers(list):
    """A store of numbers."""

    closed = False

    def close(self) -> None:
        self.closed = True


def opened(**limits) -> ThreadedStore[Numbers]:
    return ThreadedStore("the store", Numbers(), **{"deadline_s": LONG, "store_deadline_s": LONG} | limits)


def test_a_call_gives_what_it_gives():
    """A call gets the store; its result or exception is passed on."""

    async def run():
        store = opened()
        await store.change(lambda numbers: numbers.append(7))
        assert await store.read(lambda numbers: numbers[0]) == 7
        with pytest.raises(IndexError):
            await store.read(lambda numbers: numbers[1])

    asyncio.run(run())


def test_changes_that_hang_leave_reads_and_other_stores_alone(release):
    """With every thread for changes taken, reads of this store and changes of another are answered."""

    async def run():
        store, other = opened(threads=2), opened(threads=2)
        hanging = [asyncio.create_task(store.change(lambda _: release.wait(LONG))) for _ in range(5)]
        await asyncio.sleep(0)
        assert await store.read(len) == 0
        assert await other.change(len) == 0
        assert not any(each.done() for each in hanging)
        release.set()
        assert await asyncio.gather(*hanging) == [True] * 5

    asyncio.run(run())


def test_a_call_that_takes_too_long_is_refused_and_says_what_became_of_it(release):
    """A change that has begun may be stored, one that has not never begins; a read says nothing of storing."""

    async def run():
        store, begun, changed = opened(threads=1, deadline_s=0.2), threading.Event(), []

        def change(_):
            begun.set()
            changed.append(release.wait(LONG))

        while not begun.is_set():  # a slow machine may not begin it in time, and then it never begins
            with pytest.raises(StoreUnavailable) as refused:
                await store.change(change)
        assert "within 0.2 s; it is not known whether the change was stored" in str(refused.value)
        with pytest.raises(StoreUnavailable, match="within 0.2 s; nothing was stored"):
            await store.change(lambda _: changed.append("never"))
        with pytest.raises(StoreUnavailable, match="within 0.2 s$"):
            await store.read(lambda _: release.wait(LONG))
        release.set()
        store._writers.shutdown(wait=True)
        assert changed == [True]

    asyncio.run(run())


def test_more_calls_than_may_wait_are_refused_at_once(release):
    """The bounded queue gives back-pressure."""

    async def run():
        store = opened(threads=1, max_waiting=3)
        hanging = [asyncio.create_task(store.change(lambda _: release.wait(LONG))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="3 calls wait already; nothing was stored"):
            await store.change(len)
        release.set()
        await asyncio.gather(*hanging)
        assert await store.change(len) == 0

    asyncio.run(run())


def test_the_change_of_a_caller_that_has_gone_does_not_begin(release):
    """A cancelled caller's change is skipped while it waits for a thread."""

    async def run():
        store, done = opened(threads=1), []
        first = asyncio.create_task(store.change(lambda _: release.wait(LONG)))
        gone = asyncio.create_task(store.change(lambda _: done.append("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        release.set()
        await first
        await store.change(lambda _: done.append("later"))
        assert done == ["later"]

    asyncio.run(run())


def test_the_store_sees_the_deadline_of_the_call():
    """The time spent waiting for a thread counts towards the store's deadline."""

    async def run():
        store = opened(threads=1, store_deadline_s=20.0)
        assert await store.change(lambda _: seconds_left(5.0)) == 5.0
        assert 0 < await store.change(lambda _: seconds_left(50.0)) <= 20.0
        assert seconds_left(50.0) == 50.0
        assert await opened(store_deadline_s=0.0).read(lambda _: seconds_left(5.0)) == 0.0

    asyncio.run(run())


def test_what_is_closed_begins_no_call(release):
    """Closing closes the store at once; a queued call does not begin."""

    async def run():
        store, done = opened(threads=1), []
        first = asyncio.create_task(store.change(lambda _: release.wait(LONG)))
        waiting = asyncio.create_task(store.change(lambda _: done.append("late")))
        await asyncio.sleep(0)
        store.close()
        assert store.store.closed
        release.set()
        await asyncio.gather(first, waiting, return_exceptions=True)
        assert first.result()
        assert waiting.cancelled()
        assert not done

    asyncio.run(run())
