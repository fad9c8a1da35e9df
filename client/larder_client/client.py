"""The synchronous client."""

import os
import time
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

import httpx2

from larder_client import calls, content_calls, recognition_calls, teaching_calls
from larder_client.answers import Event
from larder_client.connection import connect
from larder_client.errors import LarderError
from larder_client.events import EventStream
from larder_client.exchange import RetryPolicy, answer, failure, named, request, wants_json

T = TypeVar("T")
P = ParamSpec("P")


def _method(make: Callable[P, calls.Call[T]]) -> "Callable[Concatenate[Larder, P], T]":
    """Make a method that sends a call."""

    def method(self: "Larder", /, *args: P.args, **options: P.kwargs) -> T:
        return self._send(make(*args, **options))

    return named(method, make)


class Larder:
    """A Larder service at `url`; safe to use from several threads, and after a fork.

    A call without an answer, with a broken connection or with 503 is retried up to `retries` times, no sooner than the
    service asks for; a change is still applied only once. `timeout` is in seconds, per attempt. Proxy and certificates
    from the environment are used, except for this machine itself. Every method raises LarderError:
    see larder_client.errors.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, *, timeout: float = 10, retries: int = 4
    ) -> None:
        self._connection = connect(url, key, timeout)
        self._retries = retries
        self._raw = True  # raw pictures, unless the service is too old for them
        self._http = os.getpid(), self._client()

    def __enter__(self) -> "Larder":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The service's URL, without user and password."""
        return self._connection.name

    def close(self) -> None:
        """Close the connections."""
        process, http = self._http
        if process == os.getpid():
            http.close()

    def _client(self) -> httpx2.Client:
        return httpx2.Client(**self._connection.options(httpx2.HTTPTransport))

    def _of_this_process(self) -> httpx2.Client:
        """Return the connections of this process: after a fork, parent and child must not share a socket."""
        process, http = self._http
        if process != os.getpid():
            http = self._client()
            self._http = os.getpid(), http
        return http

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

    def events(
        self, kinds: str | Sequence[str] | None = None, *, last_id: str | None = None
    ) -> Generator[Event, None, None]:
        """Yield events without end, or only `change` or `recognition` (`GET /events`).

        A lost connection is reopened and resumes; an event `reset` reports missed events. With `last_id` it starts
        after that event, otherwise now. Raises LarderError if the service is away for too long.
        """
        stream = EventStream(self._connection, kinds, last_id)
        policy = RetryPolicy(retries := max(1, self._retries))  # streams end now and then
        while True:
            try:
                with self._of_this_process().stream(**stream.request()) as response:
                    if not response.is_success:
                        response.read()
                    stream.check(response)
                    for line in response.iter_lines():
                        policy = RetryPolicy(retries)
                        if event := stream.feed(line):
                            yield event
                raise stream.ended()
            except httpx2.RequestError as error:
                wait = policy.wait_after(failure(error, self._connection))
            except LarderError as error:
                wait = policy.wait_after(error)
            time.sleep(wait)

    def _send(self, call: calls.Call[T]) -> T:
        policy = RetryPolicy(self._retries)
        while True:
            try:
                return answer(call, self._of_this_process().request(**request(call, self._raw)), policy.again)
            except httpx2.RequestError as error:
                wait = policy.wait_after(failure(error, self._connection))
            except LarderError as error:
                if self._raw and wants_json(error):
                    self._raw = False
                    continue
                wait = policy.wait_after(error)
            time.sleep(wait)
