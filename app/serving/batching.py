"""Many waiting callers, one encode call.

The contract, each clause a test:
1. What enters is decoded and valid.  2. The queue is bounded: full is `Overloaded` at once.  3. Every caller gets a
vector or an error: on success, failure, cancellation and shutdown.  4. A failed batch fails its own callers only.
5. Callers that went away are skipped.  6. The loop waits on the queue, and for company only until a deadline; it never
polls.  7. Clock and encode are parameters.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.errors import Draining, Overloaded
from app.model.engines import Floats


@dataclass(frozen=True)
class _Caller:
    pixels: Floats
    vector: asyncio.Future[Floats]
    since: float


class Batcher:
    """Collects preprocessed pictures (3, S, S) and has them encoded together, as unit vectors (D,) each.

    `encode` takes the pictures of one batch and returns their vectors (N, D). While it is busy the next batch
    collects, so nothing waits while the encoder is idle unless `wait` seconds of company are asked for. `report` is
    told of each encoded batch how long its callers had waited, and how long the call took.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[Floats]], Awaitable[Floats]],
        *,
        max_batch: int,
        max_queue: int,
        wait: float = 0,
        clock: Callable[[], float] | None = None,
        report: Callable[[Sequence[float], float], None] = lambda _waits, _seconds: None,
    ) -> None:
        self._encode = encode
        self._max_batch = max_batch
        self._queue: asyncio.Queue[_Caller | None] = asyncio.Queue()  # None: nobody comes any more
        self._max_queue = max_queue
        self._wait = wait
        self._clock = clock or asyncio.get_running_loop().time
        self._report = report
        self._closed = False
        self._loop: asyncio.Task[None] | None = None
        self.last_success = float("-inf")
        """When a batch was last encoded, by the clock."""

    async def __aenter__(self) -> "Batcher":
        self._loop = asyncio.create_task(self._run(), name="batcher")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Refuse new callers, answer those who wait, end the loop."""
        self._closed = True
        self._queue.put_nowait(None)
        if self._loop:
            await self._loop

    async def vector(self, pixels: Floats) -> Floats:
        """The unit vector (D,) of a picture (3, S, S).

        Raises Overloaded when the queue is full, Draining when the service shuts down, and what `encode` raises.
        """
        if self._closed:
            raise Draining("the service is shutting down")
        if self._queue.qsize() >= self._max_queue:
            raise Overloaded(f"{self._max_queue} pictures are waiting already")
        caller = _Caller(pixels, asyncio.get_running_loop().create_future(), self._clock())
        self._queue.put_nowait(caller)
        return await caller.vector

    @property
    def waiting(self) -> int:
        """How many pictures wait for a batch."""
        return self._queue.qsize()

    async def _run(self) -> None:
        batch: list[_Caller] = []
        try:
            while await self._collect(batch):
                await self._answer([caller for caller in batch if not caller.vector.done()])
                batch.clear()
        finally:  # also when the loop is cancelled from outside
            self._closed = True
            left = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
            for caller in [*batch, *left]:
                if caller and not caller.vector.done():
                    caller.vector.set_exception(Draining("the service is shutting down"))

    async def _collect(self, batch: list[_Caller]) -> bool:
        """Fill the next batch: the first caller, those behind it, who comes until the deadline; False at the end."""
        caller = await self._queue.get()
        deadline = self._clock() + self._wait
        while caller:
            batch.append(caller)
            if len(batch) == self._max_batch or (self._queue.empty() and self._clock() >= deadline):
                return True
            try:
                async with asyncio.timeout(deadline - self._clock()):
                    caller = await self._queue.get()
            except TimeoutError:
                return True
        if batch:
            self._queue.put_nowait(None)  # the end has come, but after this batch
        return bool(batch)

    async def _answer(self, callers: list[_Caller]) -> None:
        if not callers:
            return
        start = self._clock()
        try:
            vectors = await self._encode([caller.pixels for caller in callers])
            answers = list(zip(callers, vectors, strict=True))
        except Exception as error:  # whatever it is, it is these callers' answer and nobody else's
            for caller in callers:
                if not caller.vector.done():
                    caller.vector.set_exception(error)
            return
        self.last_success = self._clock()
        self._report([start - caller.since for caller in callers], self.last_success - start)
        for caller, vector in answers:
            if not caller.vector.done():
                caller.vector.set_result(vector)
