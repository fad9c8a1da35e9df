"""Batching: many waiting callers share one encode call; requests with prompts take turns.

The batcher's contract, each clause a test:
1. Items are decoded and valid.  2. The queue is bounded: full is `Overloaded` at once.  3. Every caller gets a
vector or an error: on success, failure, cancellation and shutdown.  4. A failed batch fails its own callers only.
5. Cancelled callers are skipped.  6. The loop waits on the queue, for further items only until a deadline; it never
polls.  7. Clock and encode are parameters.  8. A batch may have EFFICIENT pictures, and more if they take
at most CALL_S, judged by the last call.  9. Of a request with many pictures, one more becomes due with each batch, so a
picture of another request goes before the rest of them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import TypeVar

import numpy as np

from app.errors import Draining, Overloaded
from app.model.engines import Floats

EFFICIENT = 4  # pictures that a call may always have: with fewer, each takes longer
CALL_S = 0.25  # seconds that a call with more may take: pictures that arrive wait for it, and it needs more memory
_PROMPTS_A_TURN = 64  # so that a request with a thousand prompts does not block others
_TEXTS_A_TURN = 16  # the same for the work on single texts, which takes up to 20 ms
_NOTHING = np.empty(0, np.float32)  # what the end of the queue has instead of a picture
R = TypeVar("R")


@dataclass(frozen=True, order=True)
class _Caller:
    due: float  # number of the batch from which on it goes before those due later; infinity: the end of the queue
    number: int
    pixels: Floats = field(compare=False)
    vector: asyncio.Future[Floats] = field(compare=False)
    since: float = field(compare=False)


class Batcher:
    """Collects preprocessed pictures (3, S, S) and encodes them together, as a unit vector (D,) each.

    `encode` takes the pictures of one batch and returns their vectors (N, D). While it is busy the next batch collects,
    so nothing waits while the encoder is idle unless `wait` seconds are configured. `report` is called for each encoded
    batch with the waiting times of its callers and the duration of the call.
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
        self._most = max_batch  # that the next batch may have
        self._queue: asyncio.PriorityQueue[_Caller] = asyncio.PriorityQueue()
        self._numbers = count()
        self._max_queue = max_queue
        self._wait = wait
        self._clock = clock or asyncio.get_running_loop().time
        self._report = report
        self._batches = 0
        self._closed = False
        self._loop: asyncio.Task[None] | None = None
        self.last_success = float("-inf")
        """Time of the last encoded batch, by the clock."""

    async def __aenter__(self) -> "Batcher":
        self._loop = asyncio.create_task(self._run(), name="batcher")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Refuse new callers, answer waiting ones, end the loop."""
        self._closed = True
        self._put(_NOTHING, inf)
        if self._loop:
            await self._loop

    async def vector(self, pixels: Floats, behind: int = 0) -> Floats:
        """Return the unit vector (D,) of a picture (3, S, S).

        `behind` is the number of pictures of the same request that come first. Each puts this one off by one batch, as
        long as pictures of other requests wait.

        Raises Overloaded if the queue is full, Draining if the service shuts down, and what `encode` raises.
        """
        if self._closed:
            raise Draining("the service is shutting down")
        if self._queue.qsize() >= self._max_queue:
            raise Overloaded(f"{self._max_queue} pictures are waiting already")
        return await self._put(pixels, self._batches + behind)

    def _put(self, pixels: Floats, due: float) -> asyncio.Future[Floats]:
        caller = _Caller(due, next(self._numbers), pixels, asyncio.get_running_loop().create_future(), self._clock())
        self._queue.put_nowait(caller)
        return caller.vector

    async def warm_up(self, pixels: Floats, sizes: Sequence[int], interval_s: float) -> None:
        """Encode a batch of each size, of one picture (3, S, S) again and again; sizes above `max_batch` are left out.

        The first call of a size takes longer, while the engine compiles kernels for that shape. Each waits until no
        picture does. Raises what `encode` raises.
        """
        for size in sizes:
            while self.waiting and not self._closed:
                await asyncio.sleep(interval_s)
            if not self._closed and size <= self._max_batch:
                await self._encode([pixels] * size)
                await asyncio.sleep(interval_s)

    @property
    def waiting(self) -> int:
        """Return the number of pictures waiting for a batch."""
        return self._queue.qsize()

    async def _run(self) -> None:
        batch: list[_Caller] = []
        try:
            while await self._collect(batch):
                self._batches += 1
                await self._answer([caller for caller in batch if not caller.vector.done()])
                batch.clear()
        finally:  # also if the loop is cancelled from outside
            self._closed = True
            left = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
            for caller in [*batch, *left]:
                if caller.due < inf and not caller.vector.done():
                    caller.vector.set_exception(Draining("the service is shutting down"))

    async def _collect(self, batch: list[_Caller]) -> bool:
        """Fill the next batch: the first caller, those behind it, who comes until the deadline; False at the end."""
        caller = await self._queue.get()
        deadline = self._clock() + self._wait
        while caller.due < inf:
            batch.append(caller)
            if len(batch) == self._most or (self._queue.empty() and self._clock() >= deadline):
                return True
            try:
                async with asyncio.timeout(deadline - self._clock()):
                    caller = await self._queue.get()
            except TimeoutError:
                return True
        if batch:
            self._queue.put_nowait(caller)  # end after this batch
        return bool(batch)

    async def _answer(self, callers: list[_Caller]) -> None:
        if not callers:
            return
        start = self._clock()
        try:
            vectors = await self._encode([caller.pixels for caller in callers])
            answers = list(zip(callers, vectors, strict=True))
        except Exception as error:  # any error is the answer of these callers only
            for caller in callers:
                if not caller.vector.done():
                    caller.vector.set_exception(error)
            return
        self.last_success = self._clock()
        took = self.last_success - start
        self._report([start - caller.since for caller in callers], took)
        self._most = _batch_size(took / len(callers), self._max_batch)
        for caller, vector in answers:
            if not caller.vector.done():
                caller.vector.set_result(vector)


def _batch_size(picture_s: float, most: int) -> int:
    """Return how many pictures a call may have, at most `most`, if each takes `picture_s` seconds.

    Below `most` it is a power of 2: the engine takes longer for a size that it has not seen.
    """
    if most * picture_s <= CALL_S:
        return most
    return min(most, 1 << max(EFFICIENT, int(CALL_S / picture_s)).bit_length() - 1)


class RequestPrompts:
    """An LRU cache of prompts' unit vectors, at most `most_kept` of them; for one event loop.

    `encode` turns prompts into vectors (N, D) and runs in `executor`. At most `most_waiting` requests wait for it.
    Nothing is written to disk, because the prompts of users are private.
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], Floats], executor: Executor, *, most_kept: int, most_waiting: int
    ) -> None:
        self._encode = encode
        self._executor = executor
        self._most_kept = most_kept
        self._most_waiting = most_waiting
        self._waiting = 0
        self._kept: OrderedDict[str, Floats] = OrderedDict()

    async def each(self, work: Callable[[str], R], texts: Sequence[str]) -> list[R]:
        """Apply `work` to each text, such as counting its tokens, in the thread that encodes prompts.

        Requests take turns of a few texts. A cancelled request ends with its turn. Raises Overloaded.
        """
        if self._waiting >= self._most_waiting:
            raise Overloaded(f"{self._most_waiting} requests with new texts are waiting already")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            made: list[R] = []
            for start in range(0, len(texts), _TEXTS_A_TURN):
                turn = texts[start : start + _TEXTS_A_TURN]
                made += await loop.run_in_executor(self._executor, list, map(work, turn))
        finally:
            self._waiting -= 1
        return made

    async def vectors(self, prompts: Sequence[str]) -> Floats:
        """Return the unit vectors (N, D) of N >= 1 prompts, word for word; raises Overloaded."""
        found = {prompt: self._kept[prompt] for prompt in prompts if prompt in self._kept}
        for prompt in found:
            self._kept.move_to_end(prompt)
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in found]
        if missing:
            found |= await self._new(missing)
        return np.stack([found[prompt] for prompt in prompts])

    async def _new(self, prompts: list[str]) -> dict[str, Floats]:
        if self._waiting >= self._most_waiting:
            raise Overloaded(f"{self._most_waiting} requests with new texts are waiting already")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            vectors: dict[str, Floats] = {}
            for start in range(0, len(prompts), _PROMPTS_A_TURN):
                part = prompts[start : start + _PROMPTS_A_TURN]
                vectors |= zip(part, await loop.run_in_executor(self._executor, self._encode, part), strict=True)
        finally:
            self._waiting -= 1
        self._kept |= vectors
        while len(self._kept) > self._most_kept:
            self._kept.popitem(last=False)
        return vectors
