"""Threads that decode pictures: one that does not come back is written off and replaced.

A Python thread cannot be ended from outside. What a picture asks of its decoder is bounded before (app.images), so
this is the second line of defence: docs/decisions/hostile-pictures.md.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from app.errors import ImageTooLarge, Overloaded
from app.log import get_logger

DEADLINE_S = 30.0
MAX_LOST = 8  # threads that have not come back, beyond which nothing more is decoded

T = TypeVar("T")


@dataclass(eq=False)
class _Job:
    work: Callable[[], Any]
    result: asyncio.Future[Any]
    deadline: asyncio.TimerHandle | None = None
    lost: bool = False


class Decoders:
    """`threads` daemon threads; work that takes longer than `deadline_s` fails its caller and gives its place back.

    For one event loop. `on_lost` is called, in the loop, for each thread that is written off.
    """

    def __init__(
        self, threads: int, *, deadline_s: float = DEADLINE_S, on_lost: Callable[[], None] = lambda: None
    ) -> None:
        self.deadline_s = deadline_s
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._free = asyncio.Semaphore(threads)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = threads
        self.lost = 0
        """How many threads have not come back from their work."""
        for _ in range(threads):
            self._start()

    async def run(self, work: Callable[[], T]) -> T:
        """Do the work in a thread, when one is free.

        Raises what the work raises, ImageTooLarge when it takes longer than the deadline, and Overloaded when too many
        threads are lost.
        """
        await self._free.acquire()
        if self.lost >= MAX_LOST:
            self._free.release()
            raise Overloaded(f"{self.lost} pictures have not come back from their decoders")
        job = _Job(work, self._loop.create_future())
        job.deadline = self._loop.call_later(self.deadline_s, self._write_off, job)
        self._jobs.put(job)
        result: T = await asyncio.shield(job.result)  # a thread is not free because its caller has gone
        return result

    def close(self) -> None:
        """End the threads; those that are at work are not waited for."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _start(self) -> None:
        threading.Thread(target=self._serve, name="decode", daemon=True).start()

    def _serve(self) -> None:
        while job := self._jobs.get():
            result, error = None, None
            try:
                result = job.work()
            except BaseException as raised:  # it is the caller's answer
                error = raised
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._finish, job, result, error)
            del job, result, error  # a picture must not stay until the next one comes

    def _finish(self, job: _Job, result: Any, error: BaseException | None) -> None:
        if job.lost:
            self.lost -= 1
            self._jobs.put(None)  # its place was given to another thread: one of them ends
            return
        if job.deadline:
            job.deadline.cancel()
        self._free.release()
        if job.result.cancelled():
            return
        if error is None:
            job.result.set_result(result)
        else:
            job.result.set_exception(error)
            job.result.exception()  # taken note of: the caller may have gone

    def _write_off(self, job: _Job) -> None:
        get_logger().error("a picture does not come back from its decoder", seconds=self.deadline_s)
        job.lost = True
        self.lost += 1
        self._on_lost()
        self._start()
        self._free.release()
        job.result.set_exception(ImageTooLarge(f"the picture was not decoded within {self.deadline_s:g} s"))
        job.result.exception()
