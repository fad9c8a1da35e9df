"""Encode untrusted pictures and texts: decoding in threads overlaps with encoding in batches."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from itertools import count
from typing import ParamSpec, TypeVar

from app.errors import ImageTooLarge, Overloaded
from app.images.barcodes import Barcode, read_barcodes
from app.images.header import Header
from app.images.prepare import Box, BoxesIn, Picture, Preparer, fingerprint
from app.metrics import Metrics
from app.model.encoder import Encoder
from app.model.engines import Floats
from app.serving.batching import Batcher, RequestPrompts
from app.serving.decoders import DEADLINE_S, Decoders
from app.tracing import span

CANARY_EVERY = 10.0  # a batch encoded this recently proves that the encoder works (s)
AT_ONCE_COST = 500_000  # the cost, in pixels, up to which a picture is decoded as soon as its header is read: some 8 ms
QUICK = 3_000_000  # the cost up to which a picture is decoded beside others: some 50 ms
BYTES_A_PIXEL = 8  # bytes of a file whose header takes as long to read as a pixel to decode
MAX_COST = 4  # pictures of the largest size that may be in progress; more are refused
CROPS_COST = 4  # times the cost of a picture that crops of it take, unless it is a giant, which is reduced first
BARCODES_COST = 2  # times the cost of a picture if its barcodes are read
AT_ONCE = 8  # pictures of one request: enough to keep the model busy without filling the queue
CROPS_AT_ONCE = 16  # of one picture, which is already decoded
PROMPTS_KEPT = 10_000  # embeddings of requests' prompts in memory: 20 MB at 512 numbers each

A = TypeVar("A")
B = TypeVar("B")
P = ParamSpec("P")


class Pipeline:
    """Encodes pictures and texts, at most `max_queue` of each in progress.

    Large pictures, by the cost that their headers declare, are decoded one at a time in a separate thread. Of the
    others the cheapest come first, so a small picture waits only for those that are being decoded. Barcodes are read in
    separate threads too: that takes up to 0.5 s, which no header declares.
    """

    def __init__(
        self,
        batcher: Batcher,
        prompts: RequestPrompts,
        preparer: Preparer,
        decoders: Decoders,
        large_decoder: Decoders,
        barcode_readers: Decoders,
        metrics: Metrics,
        max_queue: int,
    ) -> None:
        self._batcher = batcher
        self._prompts = prompts
        self._preparer = preparer
        self._decoders = decoders
        self._large_decoder = large_decoder
        self._barcode_readers = barcode_readers
        self._metrics = metrics
        self._max_cost = MAX_COST * preparer.limits.max_pixels
        self._cost = 0
        self.max_queue = max_queue
        self.in_hand = 0
        """Number of pictures being decoded, queued or encoded."""

    @property
    def lost_decoders(self) -> int:
        """Number of threads that have not returned from decoding a picture or reading its barcodes."""
        return self._decoders.lost + self._large_decoder.lost + self._barcode_readers.lost

    async def header(self, picture: Picture) -> Header:
        """Read the header of a picture, which the other methods accept in its place; raises as `vector` does."""
        return await self._decoders.run(partial(self._preparer.read_header, picture))

    async def vector(self, picture: Picture, behind: int = 0) -> Floats:
        """Return the embedding (D,) of a picture; `behind` is the number of pictures of the request that come first.

        Raises InvalidImage, UnsupportedImage, ImageTooLarge, Overloaded or Draining.
        """
        with self._place():
            return await self._encode(await self._decode(picture, self._timed("decode", self._preparer.pixels)), behind)

    async def vector_and_barcodes(self, picture: Picture) -> tuple[Floats, list[Barcode]]:
        """Return the embedding (D,) of a picture and its barcodes, from one decode; raises as `vector` does.

        Raises InvalidRequest if this service cannot read barcodes.
        """

        def make(header: Header) -> tuple[Floats, list[Barcode]]:
            pixels, grey, size = self._timed("decode", self._preparer.pixels_and_grey)(header)
            return pixels, self._timed("barcodes", read_barcodes)(grey, size)

        with self._place():
            pixels, codes = await self._decode(picture, make, BARCODES_COST, self._barcode_readers)
            return await self._encode(pixels), codes

    async def for_entry(self, picture: Picture, *, thumbnail: bool) -> tuple[Floats, str, bytes | None]:
        """Return what an entry keeps of a picture: embedding (D,), perceptual hash, and optionally a small JPEG.

        All from one decode; raises as `vector` does.
        """

        def make(header: Header) -> tuple[Floats, str, bytes | None]:
            if thumbnail:
                pixels, small = self._preparer.pixels_and_thumbnail(header)
                return pixels, fingerprint(pixels), small
            pixels = self._preparer.pixels(header)
            return pixels, fingerprint(pixels), None

        with self._place():
            pixels, hashed, small = await self._decode(picture, self._timed("decode", make))
            return await self._encode(pixels), hashed, small

    async def vectors(self, pictures: Sequence[bytes | str]) -> list[Floats]:
        """Return the embeddings (D,) of several pictures, a few at a time; raises what `vector` does.

        All headers are read before the first picture is decoded, so an excessive request is refused at once.
        """
        headers: list[Header] = []
        for some in chunks(AT_ONCE, pictures):
            work = partial(list[Header], map(self._preparer.read_header, some))
            headers += await self._decoders.run(work, sum(map(_reading_cost, some)))
            self._check(sum(header.cost for header in headers))
        return await gather_in_chunks(min(AT_ONCE, self.max_queue), self.vector, headers)

    async def crops(self, picture: Picture, boxes_in: BoxesIn) -> tuple[Sequence[Box], list[Floats]]:
        """Decode a picture once and encode the boxes that `boxes_in` returns for its width and height.

        Returns the boxes and the embeddings (D,): the whole picture's, then one for each box. Raises as `vector`
        does, and what `boxes_in` raises.
        """
        with self._place():
            cut = partial(self._preparer.crops, boxes_in=boxes_in)
            boxes, pixels = await self._decode(picture, self._timed("decode", cut), CROPS_COST)
            with span("encode"):
                at_once = min(CROPS_AT_ONCE, self.max_queue)
                return boxes, await gather_in_chunks(at_once, self._batcher.vector, pixels)

    async def texts(self, texts: Sequence[str]) -> Floats:
        """Return the embeddings (N, D) of N >= 1 texts, word for word; raises Overloaded."""
        return await self._prompts.vectors(texts)

    async def for_each_text(self, work: Callable[[str], A], texts: Sequence[str]) -> list[A]:
        """Apply `work` to each text, in a thread that requests share fairly; raises Overloaded."""
        return await self._prompts.each(work, texts)

    async def prove(self, within: float = 5.0) -> None:
        """Return once the encoder has proved that it works; raises its errors, or TimeoutError."""
        if asyncio.get_running_loop().time() - self._batcher.last_success > CANARY_EVERY:
            async with asyncio.timeout(within):
                await self._batcher.vector(self._preparer.blank)

    async def warm_up(self, sizes: Sequence[int], interval_s: float) -> None:
        """Encode a batch of each size; batches meanwhile have the sizes that have been encoded."""
        await self._batcher.warm_up(self._preparer.blank, sizes, interval_s)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self.in_hand >= self.max_queue:
            raise Overloaded(f"{self.max_queue} pictures are in progress already")
        self.in_hand += 1
        try:
            yield
        finally:
            self.in_hand -= 1

    async def _decode(
        self, picture: Picture, make: Callable[[Header], A], weight: int = 1, separately: Decoders | None = None
    ) -> A:
        """Apply `make` to a picture, at `weight` times the cost of decoding alone; `separately`, unless it is large."""

        def begin() -> A | Header:
            header = self._preparer.read_header(picture)
            later = header.is_giant or _cost(header, weight) > AT_ONCE_COST or separately
            return header if later else make(header)

        with span("decode"):
            made = await self._decoders.run(begin, _reading_cost(picture))
            if not isinstance(made, Header):
                return made
            cost, work = _cost(made, weight), partial(make, made)
            if cost <= QUICK and not made.is_giant:
                return await (separately or self._decoders).run(work, cost)
            with self._large(cost):
                return await self._large_decoder.run(work, cost)

    def _timed(self, stage: str, work: Callable[P, A]) -> Callable[P, A]:
        """Wrap the work to observe its duration as a stage."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> A:
            start = time.perf_counter()
            made = work(*args, **kwargs)
            self._metrics.stage(stage, time.perf_counter() - start)
            return made

        return timed

    @contextmanager
    def _large(self, cost: int) -> Iterator[None]:
        """Count a large picture while it waits and is decoded."""
        self._check(cost)
        self._cost += cost
        try:
            yield
        finally:
            self._cost -= cost

    def _check(self, cost: int) -> None:
        """Raise ImageTooLarge if one request exceeds its limit, Overloaded if all requests exceed theirs."""
        if cost > self._max_cost:
            raise ImageTooLarge(
                f"the picture or pictures take as long to decode as {cost:,} pixels; "
                f"at most {self._max_cost:,} are accepted in a request"
            )
        if self._cost + cost > self._max_cost:
            raise Overloaded(f"large pictures of {self._cost:,} pixels are in progress already")

    async def _encode(self, pixels: Floats, behind: int = 0) -> Floats:
        with span("encode"):
            return await self._batcher.vector(pixels, behind)


@asynccontextmanager
async def open_pipeline(
    encoder: Encoder,
    preparer: Preparer,
    metrics: Metrics,
    *,
    threads: int,
    max_batch: int,
    max_queue: int,
    deadline_s: float = DEADLINE_S,
) -> AsyncIterator[Pipeline]:
    """Run a pipeline that decodes in `threads` threads, large pictures in one; on exit, callers are answered.

    The exit does not wait for decoders that have not returned.
    """
    encoding = ThreadPoolExecutor(1, thread_name_prefix="encode")
    reading = ThreadPoolExecutor(1, thread_name_prefix="texts")
    prompts = RequestPrompts(encoder.texts, reading, most_kept=PROMPTS_KEPT, most_waiting=max_queue)

    async def encode(pixels: Sequence[Floats]) -> Floats:
        return await asyncio.get_running_loop().run_in_executor(encoding, partial(encoder.pictures, pixels))

    with (
        closing(Decoders(threads, deadline_s=deadline_s)) as decoders,
        closing(Decoders(1, deadline_s=deadline_s, on_lost=preparer.give_up_giant)) as large_decoder,
        closing(Decoders(threads, deadline_s=deadline_s)) as barcode_readers,
        encoding,
        reading,
    ):
        async with Batcher(encode, max_batch=max_batch, max_queue=max_queue, report=metrics.batch) as batcher:
            pipeline = Pipeline(
                batcher, prompts, preparer, decoders, large_decoder, barcode_readers, metrics, max_queue
            )
            metrics.in_hand.set_function(lambda: pipeline.in_hand)
            metrics.waiting.set_function(lambda: batcher.waiting)
            yield pipeline


def _reading_cost(picture: Picture) -> float:
    """Return the cost of reading a picture's header, by its length; of a header already read, that of decoding."""
    return picture.cost if isinstance(picture, Header) else len(picture) / BYTES_A_PIXEL


def _cost(header: Header, weight: int) -> int:
    return header.cost * (1 if header.is_giant else weight)


def chunks(size: int, some: Sequence[A]) -> Iterator[Sequence[A]]:
    """Yield a sequence in chunks of `size`."""
    for start in range(0, len(some), size):
        yield some[start : start + size]


async def gather_in_chunks(size: int, work: Callable[[A, int], Awaitable[B]], some: Sequence[A]) -> list[B]:
    """Apply `work` to each element and its place in its chunk; the `size` elements of a chunk concurrently."""
    return [made for chunk in chunks(size, some) for made in await asyncio.gather(*map(work, chunk, count()))]
