"""Threads that decode pictures, the cheapest first; a thread that does not return is replaced.

A Python thread cannot be killed. The cost of decoding is bounded before (app.images), so this is the second line of
defence: docs/decisions/0021-hostile-pictures.md.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from queue import SimpleQueue
from typing import Any, TypeVar

from app.errors import ImageTooLarge, Overloaded
from app.log import get_logger

DEADLINE_S = 30.0
OLDEST_EVERY = 4  # one turn in four goes to the oldest waiting picture, the others to the cheapest
NICENESS = 10  # of a thread that decodes, more than the process has: docs/decisions/0012-batching.md
MAX_LOST = 8  # threads that have not returned before all decoding is refused

T = TypeVar("T")


@dataclass(eq=False)
class _Job:
    work: Callable[[], Any]
    result: asyncio.Future[Any]
    deadline: asyncio.TimerHandle | None = None
    lost: bool = False


class Decoders:
    """`threads` daemon threads; work that exceeds `deadline_s` fails its caller and frees its place.

    For one event loop. `on_lost` is called, in the loop, for each thread that is given up.

    The cheapest waiting work is next, and every fourth time the oldest. So cheap work waits for the work in progress
    and for at most one piece more, whatever else waits and however slow the machine is; costly work is never starved.
    """

    def __init__(
        self,
        threads: int,
        *,
        deadline_s: float = DEADLINE_S,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.deadline_s = deadline_s
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._free = threads
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []  # by arrival; none while a thread is free
        self._turns = 0
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = threads
        self.lost = 0
        """Number of threads that have not returned."""
        for _ in range(threads):
            self._start()

    async def run(self, work: Callable[[], T], cost: float = 0) -> T:
        """Run the work in a thread when one is free; `cost`, in pixels, is an estimate of its duration.

        Raises what the work raises, ImageTooLarge if it takes longer than the deadline, and Overloaded if too many
        threads are lost.
        """
        await self._acquire(cost)
        if self.lost >= MAX_LOST:
            self._release()
            raise Overloaded(f"{self.lost} pictures have not come back from their decoders")
        job = _Job(work, self._loop.create_future())
        job.deadline = self._loop.call_later(self.deadline_s, self._write_off, job)
        self._jobs.put(job)
        result: T = await asyncio.shield(job.result)  # a thread is not free because its caller has gone
        return result

    def close(self) -> None:
        """End the threads without waiting for those at work."""
        for _ in range(self._threads):
            self._jobs.put(None)

    async def _acquire(self, cost: float) -> None:
        if self._free:
            self._free -= 1
            return
        waiting = cost, self._loop.create_future()
        self._waiting.append(waiting)
        try:
            await waiting[1]
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:  # the turn had come
                self._release()
            raise

    def _release(self) -> None:
        """Give a free thread to waiting work, or keep it."""
        if not self._waiting:
            self._free += 1
            return
        self._turns += 1
        oldest = self._turns % OLDEST_EVERY == 0
        _, turn = waiting = self._waiting[0] if oldest else min(self._waiting, key=itemgetter(0))
        self._waiting.remove(waiting)
        turn.set_result(None)

    def _start(self) -> None:
        threading.Thread(target=self._serve, name="decode", daemon=True).start()

    def _serve(self) -> None:
        _lower_priority()
        while job := self._jobs.get():
            result, error = None, None
            try:
                result = job.work()
            except BaseException as raised:  # passed on to the caller
                error = raised
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._finish, job, result, error)
            del job, result, error  # do not keep a picture alive until the next one comes

    def _finish(self, job: _Job, result: Any, error: BaseException | None) -> None:
        if job.lost:
            self.lost -= 1
            self._jobs.put(None)  # its place was given to another thread, so one of them ends
            return
        if job.deadline:
            job.deadline.cancel()
        self._release()
        if job.result.cancelled():
            return
        if error is None:
            job.result.set_result(result)
        else:
            job.result.set_exception(error)
            job.result.exception()  # marks the exception as retrieved: the caller may have gone

    def _write_off(self, job: _Job) -> None:
        get_logger().error("a decoder does not return", seconds=self.deadline_s)
        job.lost = True
        self.lost += 1
        self._on_lost()
        self._start()
        self._release()
        job.result.set_exception(ImageTooLarge(f"the picture was not decoded within {self.deadline_s:g} s"))
        job.result.exception()


def _lower_priority() -> None:
    """Let the event loop and the encoder go first when they want a processor; on Linux each thread has a priority."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(PermissionError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
