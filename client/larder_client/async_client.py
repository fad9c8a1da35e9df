"""The asyncio client."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx2

from larder_client import calls, content_calls, recognition_calls, teaching_calls
from larder_client.answers import Event
from larder_client.connection import connect
from larder_client.errors import LarderError
from larder_client.events import EventStream
from larder_client.exchange import RetryPolicy, answer, failure, named, request, wants_json

T = TypeVar("T")
P = ParamSpec("P")


def _method(make: Callable[P, calls.Call[T]]) -> "Callable[Concatenate[AsyncLarder, P], Coroutine[Any, Any, T]]":
    """Make a method that sends a call."""

    async def method(self: "AsyncLarder", /, *args: P.args, **options: P.kwargs) -> T:
        return await self._send(await asyncio.to_thread(make, *args, **options))  # it may shrink a large picture

    return named(method, make)


class AsyncLarder:
    """A Larder service at `url`, for one event loop; otherwise like `Larder`."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, *, timeout: float = 10, retries: int = 4
    ) -> None:
        self._connection = connect(url, key, timeout)
        self._retries = retries
        self._raw = True  # raw pictures, unless the service is too old for them
        self._http = httpx2.AsyncClient(**self._connection.options(httpx2.AsyncHTTPTransport))

    async def __aenter__(self) -> "AsyncLarder":
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """The service's URL, without user and password."""
        return self._connection.name

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    health = _method(calls.health)
    metrics = _method(calls.metrics)
    labels = _method(calls.labels)
    recognise = _method(recognition_calls.recognise)
    recognise_frames = _method(recognition_calls.recognise_frames)
    recognise_regions = _method(recognition_calls.recognise_regions)
    recognise_shelf = _method(recognition_calls.recognise_shelf)
    classify = _method(recognition_calls.classify)
    embed_texts = _method(calls.embed_texts)
    embed_pictures = _method(calls.embed_pictures)

    items = _method(calls.items)
    item = _method(calls.item)
    set_count = _method(calls.set_count)
    add = _method(calls.add)
    remove = _method(calls.remove)
    delete = _method(calls.delete)
    journal = _method(calls.journal)
    undo = _method(calls.undo)
    barcodes = _method(calls.barcodes)
    barcode = _method(calls.barcode)
    tie_barcode = _method(calls.tie_barcode)
    untie_barcode = _method(calls.untie_barcode)

    teach = _method(teaching_calls.teach)
    taught = _method(teaching_calls.taught)
    forget = _method(teaching_calls.forget)
    feedback = _method(teaching_calls.feedback)
    review = _method(teaching_calls.review)
    review_picture = _method(teaching_calls.review_picture)
    label = _method(teaching_calls.label)
    dismiss = _method(teaching_calls.dismiss)
    examples_report = _method(teaching_calls.examples_report)

    put_text = _method(content_calls.put_text)
    put_picture = _method(content_calls.put_picture)
    content = _method(content_calls.content)
    delete_content = _method(content_calls.delete_content)
    count_contents = _method(content_calls.count_contents)
    contents = _method(content_calls.contents)
    rename_collection = _method(content_calls.rename_collection)
    delete_collection = _method(content_calls.delete_collection)
    thumbnail = _method(content_calls.thumbnail)
    search = _method(content_calls.search)
    duplicates = _method(content_calls.duplicates)
    job = _method(content_calls.job)

    async def events(
        self, kinds: str | Sequence[str] | None = None, *, last_id: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield events without end, or only `change` or `recognition` (`GET /events`).

        A lost connection is reopened and resumes; an event `reset` reports missed events. With `last_id` it starts
        after that event, otherwise now. Raises LarderError if the service is away for too long.
        """
        stream = EventStream(self._connection, kinds, last_id)
        policy = RetryPolicy(retries := max(1, self._retries))  # streams end now and then
        while True:
            try:
                async with self._http.stream(**stream.request()) as response:
                    if not response.is_success:
                        await response.aread()
                    stream.check(response)
                    async for line in response.aiter_lines():
                        policy = RetryPolicy(retries)
                        if event := stream.feed(line):
                            yield event
                raise stream.ended()
            except httpx2.RequestError as error:
                wait = policy.wait_after(failure(error, self._connection))
            except LarderError as error:
                wait = policy.wait_after(error)
            await asyncio.sleep(wait)

    async def _send(self, call: calls.Call[T]) -> T:
        policy = RetryPolicy(self._retries)
        while True:
            try:
                return answer(call, await self._http.request(**request(call, self._raw)), policy.again)
            except httpx2.RequestError as error:
                wait = policy.wait_after(failure(error, self._connection))
            except LarderError as error:
                if self._raw and wants_json(error):
                    self._raw = False
                    continue
                wait = policy.wait_after(error)
            await asyncio.sleep(wait)
