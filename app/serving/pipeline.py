"""From an untrusted picture or text to its unit vector: decoding in threads, beside the encoding of batches."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import numpy as np

from app.errors import Overloaded
from app.images.decode import ImageLimits, decode, decode_base64, is_giant, read_header
from app.images.preprocess import ImageForm, preprocessor
from app.metrics import Metrics
from app.model.encoder import Encoder
from app.model.engines import Floats
from app.serving.batching import Batcher
from app.serving.request_prompts import RequestPrompts
from app.tracing import span

CANARY_EVERY = 10.0  # seconds for which a batch that went through proves that the encoder answers
ENOUGH = 2  # times the model's side that a large JPEG is decoded to at least
AT_ONCE = 8  # pictures of one request: enough to keep the model busy, and it does not fill the queue
PARTS_AT_ONCE = 16  # of one picture, which is decoded already
PROMPTS_KEPT = 10_000  # vectors of requests' prompts in memory: 20 MB at 512 numbers each

Box = tuple[int, int, int, int]  # left, top, right, bottom
BoxesIn = Callable[[tuple[int, int]], Sequence[Box]]
T = TypeVar("T")


class Pipeline:
    """Pictures and texts in, unit vectors out, at most `max_queue` of each in hand."""

    def __init__(
        self,
        batcher: Batcher,
        prompts: RequestPrompts,
        decode: Callable[[bytes | str], Floats],
        cut: Callable[[bytes | str, BoxesIn], tuple[Sequence[Box], list[Floats]]],
        decoders: ThreadPoolExecutor,
        max_queue: int,
    ) -> None:
        self._batcher = batcher
        self._prompts = prompts
        self._decode = decode
        self._cut = cut
        self._decoders = decoders
        self.max_queue = max_queue
        self.in_hand = 0
        """How many pictures are decoded, queued or encoded at the moment."""

    async def vector(self, picture: bytes | str) -> Floats:
        """The unit vector (D,) of a picture, given as bytes or in base64.

        Raises InvalidImage, UnsupportedImage, ImageTooLarge, Overloaded or Draining.
        """
        if self.in_hand >= self.max_queue:
            raise Overloaded(f"{self.max_queue} pictures are in hand already")
        self.in_hand += 1
        try:
            loop = asyncio.get_running_loop()
            with span("decode"):
                pixels = await loop.run_in_executor(self._decoders, self._decode, picture)
            with span("encode"):
                return await self._batcher.vector(pixels)
        finally:
            self.in_hand -= 1

    async def vectors(self, pictures: Sequence[bytes | str]) -> list[Floats]:
        """The unit vectors (D,) of some pictures, a few at a time; raises what `vector` does."""
        return await _by(min(AT_ONCE, self.max_queue), self.vector, pictures)

    async def parts(self, picture: bytes | str, boxes_in: BoxesIn) -> tuple[Sequence[Box], list[Floats]]:
        """A picture, decoded once, cut into the boxes that `boxes_in` names for its width and height.

        Returns the boxes and the unit vectors (D,): the whole picture's, then one for each box. Raises as `vector`
        does, and what `boxes_in` raises.
        """
        if self.in_hand >= self.max_queue:
            raise Overloaded(f"{self.max_queue} pictures are in hand already")
        self.in_hand += 1
        try:
            loop = asyncio.get_running_loop()
            with span("decode"):
                boxes, pixels = await loop.run_in_executor(self._decoders, self._cut, picture, boxes_in)
            with span("encode"):
                return boxes, await _by(min(PARTS_AT_ONCE, self.max_queue), self._batcher.vector, pixels)
        finally:
            self.in_hand -= 1

    async def texts(self, texts: Sequence[str]) -> Floats:
        """The unit vectors (N, D) of N >= 1 texts, word for word; raises Overloaded."""
        return await self._prompts.vectors(texts)

    async def for_each_text(self, work: Callable[[str], T], texts: Sequence[str]) -> list[T]:
        """What `work` makes of each text, in a thread that requests share fairly; raises Overloaded."""
        return await self._prompts.each(work, texts)

    async def prove(self, blank: Floats, within: float = 5.0) -> None:
        """Return once the encoder has shown that it answers; raises what it raises, or TimeoutError."""
        if asyncio.get_running_loop().time() - self._batcher.last_success > CANARY_EVERY:
            async with asyncio.timeout(within):
                await self._batcher.vector(blank)


@asynccontextmanager
async def open_pipeline(
    encoder: Encoder,
    form: ImageForm,
    limits: ImageLimits,
    metrics: Metrics,
    *,
    threads: int,
    max_batch: int,
    max_queue: int,
) -> AsyncIterator[Pipeline]:
    """A running pipeline that decodes in `threads` threads; on leaving, who waits is answered and the threads end."""
    preprocess = preprocessor(form)

    giants = threading.Lock()  # of these one at a time is decoded: it may take hundreds of megabytes

    def prepared(picture: bytes | str, enough: int | None, prepare: Callable[[Any], T]) -> T:
        start = time.perf_counter()
        opened = read_header(decode_base64(picture) if isinstance(picture, str) else picture, limits)
        with giants if is_giant(opened) else nullcontext():
            made = prepare(decode(opened, enough))
        metrics.stage("decode", time.perf_counter() - start)
        return made

    def pixels_of(picture: bytes | str) -> Floats:
        return prepared(picture, ENOUGH * form.size, preprocess)

    def parts_of(picture: bytes | str, boxes_in: BoxesIn) -> tuple[Sequence[Box], list[Floats]]:
        def cut(whole: Any) -> tuple[Sequence[Box], list[Floats]]:
            boxes = boxes_in(whole.size)
            return boxes, [preprocess(whole), *(preprocess(whole.crop(box)) for box in boxes)]

        return prepared(picture, None, cut)

    decoders = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    encoding = ThreadPoolExecutor(1, thread_name_prefix="encode")
    reading = ThreadPoolExecutor(1, thread_name_prefix="texts")
    prompts = RequestPrompts(encoder.texts, reading, most_kept=PROMPTS_KEPT, most_waiting=max_queue)

    async def encode(pixels: Sequence[Floats]) -> Floats:
        return await asyncio.get_running_loop().run_in_executor(encoding, partial(encoder.pictures, pixels))

    with decoders, encoding, reading:
        async with Batcher(encode, max_batch=max_batch, max_queue=max_queue, report=metrics.batch) as batcher:
            pipeline = Pipeline(batcher, prompts, pixels_of, parts_of, decoders, max_queue)
            metrics.in_hand.set_function(lambda: pipeline.in_hand)
            metrics.waiting.set_function(lambda: batcher.waiting)
            yield pipeline


async def _by(step: int, encode: Callable[[T], Awaitable[Floats]], some: Sequence[T]) -> list[Floats]:
    """What `encode` makes of each, so many at a time."""
    parts = [some[start : start + step] for start in range(0, len(some), step)]
    return [vector for part in parts for vector in await asyncio.gather(*map(encode, part))]


def blank(form: ImageForm) -> Floats:
    """A grey picture (3, S, S) to try the encoder with."""
    return np.zeros((3, form.size, form.size), dtype=np.float32)
