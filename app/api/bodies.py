"""Request bodies: back-pressure by the load in progress, then read completely within bounds of bytes and time.

The deadline also bounds the handler. While draining, everything is refused.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import failures
from app.api.media_types import MAX_ELEMENTS, check_structure
from app.api.middleware import OPEN_PATHS
from app.errors import Draining, ImageTooLarge, InvalidRequest, LarderError, Overloaded, RequestTimeout

SMALL = 4096  # bytes of a body that need no admission: counts to change, a few labels


@dataclass(eq=False)
class _Request:
    """A request with a large body."""

    received: int = 0
    """Bytes of the body so far."""
    complete: bool = False


class AdmissionMiddleware:
    """Limit the large bodies in progress by number and bytes; refuse everything once the service is draining.

    Only complete bodies count by number; incomplete ones count by the bytes that have arrived, so slow senders lock out
    nobody. A single body is always admitted: BodyMiddleware bounds its size.
    """

    def __init__(self, app: ASGIApp, most: int, most_bytes: int) -> None:
        self._app = app
        self._most = most
        self._most_bytes = most_bytes
        self._requests: list[_Request] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and scope["state"]["service"].draining:
            await self._refuse(Draining("the service is shutting down"), scope, receive, send)
            return
        size = _size(Headers(scope=scope)) if scope["type"] == "http" else 0
        if size <= SMALL:
            await self._app(scope, receive, send)
            return
        request = _Request()
        self._requests.append(request)
        try:
            self._check(size)
            await self._app(scope, self._counted(request, receive), send)
        except Overloaded as error:
            await self._refuse(error, scope, receive, send)
        finally:
            self._requests.remove(request)

    def _counted(self, request: _Request, receive: Receive) -> Receive:
        """Wrap `receive` to count the bytes that arrive; raises Overloaded when a body exceeds the limits."""

        async def counted() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not request.complete:
                request.received += len(message.get("body", b""))
                self._check(0)
                request.complete = not message.get("more_body", False)
            return message

        return counted

    def _check(self, more: int) -> None:
        """Raise Overloaded when there are too many requests, or too many bytes with `more` added."""
        complete = sum(request.complete for request in self._requests)
        if complete >= self._most:
            raise Overloaded(f"{complete} requests are in progress already")
        received = sum(request.received for request in self._requests)
        if len(self._requests) > 1 and received + more > self._most_bytes:
            raise Overloaded(f"requests of {received:,} bytes are in progress already")

    async def _refuse(self, error: LarderError, scope: Scope, receive: Receive, send: Send) -> None:
        await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)


def _size(headers: Headers) -> int:
    """Return the bytes that a request declares; a chunked body counts as a mebibyte."""
    declared = headers.get("content-length", "")
    if "transfer-encoding" in headers:
        return 1024 * 1024
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0


HEADER = "X-Request-Timeout"
MAX_S = 60.0  # also the default
STREAMS = ("/events",)  # responses that end when the client leaves, or on their own
T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The handler did not finish before the deadline, and was cancelled."""


def seconds_of(header: str | None) -> float:
    """Return the seconds that a client is willing to wait. Raise InvalidRequest.

    >>> seconds_of("2.5"), seconds_of(None)
    (2.5, 60.0)
    """
    try:
        seconds = MAX_S if header is None else float(header)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_S:
        raise InvalidRequest(f"{HEADER}: {header!r} was found; seconds above 0, at most {MAX_S:g}, are allowed")
    return seconds


class Deadline:
    """The time by which all work on one request must end, counted from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = asyncio.get_running_loop().time() + seconds

    @property
    def _remaining(self) -> float | None:
        """Return the seconds left; None without a deadline, because asyncio does not accept infinity."""
        remaining = max(0.0, self._at - asyncio.get_running_loop().time())
        return remaining if remaining < math.inf else None

    def timeout(self) -> asyncio.Timeout:
        """Return a context that ends with TimeoutError at the deadline."""
        return asyncio.timeout(self._remaining)

    async def run(self, work: Awaitable[T], disconnect: Callable[[], Awaitable[object]]) -> T | None:
        """Return the result of `work`, or None when `disconnect` returns first; then `work` is cancelled.

        Raise DeadlineExceeded, and whatever `work` raises.
        """
        left = False

        async def watch(limit: asyncio.Timeout) -> None:
            nonlocal left
            await disconnect()
            left = True
            limit.reschedule(0)

        try:
            async with self.timeout() as limit:
                watching = asyncio.create_task(watch(limit))
                try:
                    return await work
                finally:
                    watching.cancel()
        except TimeoutError as error:
            if left:
                return None
            if limit.expired():
                raise DeadlineExceeded from error
            raise


class BodyMiddleware:
    """Read the whole body, at most `max_bytes` of it, before the app sees the request; keep the request's deadline."""

    def __init__(self, app: ASGIApp, max_bytes: int, max_elements: int = MAX_ELEMENTS) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_elements = max_elements

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            check_coding(headers.get("content-encoding", "identity"))
            deadline = Deadline(seconds_of(headers.get(HEADER)))
            body = await self._read(scope, receive, deadline)
            if body is not None:
                check_structure(headers.get("content-type", ""), body, self._max_elements)
                deadline = Deadline(math.inf) if scope["path"] in STREAMS else deadline
                await self._run(self._app(scope, _replay(body), send), deadline, receive)
        except (InvalidRequest, ImageTooLarge, Overloaded, RequestTimeout) as error:
            await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive, deadline: Deadline) -> bytes | None:
        """Return the body, None when the client left. Raise ImageTooLarge or RequestTimeout."""
        chunks: list[bytes] = []
        try:
            async with deadline.timeout():
                complete = await self._fill(chunks, scope, receive)
        except TimeoutError as error:
            size = sum(map(len, chunks))
            found = f"{size:,} bytes of the body arrived within {deadline.seconds:g} s, not the whole body"
            raise RequestTimeout(f"{found}; nothing was carried out") from error
        return b"".join(chunks) if complete else None

    async def _fill(self, chunks: list[bytes], scope: Scope, receive: Receive) -> bool:
        """Append all of the request to `chunks`, return False when the client left. Raise ImageTooLarge."""
        declared = Headers(scope=scope).get("content-length", "")
        size = int(declared) if declared.isdecimal() and len(declared) < 20 else 0
        received, more = 0, True
        while more and max(size, received) <= self._max_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            chunks.append(message.get("body", b""))
            received += len(chunks[-1])
            more = message.get("more_body", False)
        if max(size, received) > self._max_bytes:
            raise ImageTooLarge(f"the body is too large: at most {self._max_bytes:,} bytes are accepted")
        return True

    async def _run(self, work: Awaitable[None], deadline: Deadline, receive: Receive) -> None:
        """Run the app until it has answered or the client left. Raise Overloaded on timeout."""
        try:
            await deadline.run(work, disconnect=receive)
        except DeadlineExceeded as error:
            message = f"timed out after {deadline.seconds:g} s; the change may still have been applied"
            raise Overloaded(message) from error


def check_coding(coding: str) -> None:
    """Raise InvalidRequest for a compressed body.

    >>> check_coding("gzip")
    Traceback (most recent call last):
    app.errors.InvalidRequest: Content-Encoding: 'gzip' was found; compressed bodies are not supported
    """
    if coding.strip().lower() not in ("", "identity"):
        raise InvalidRequest(f"Content-Encoding: {coding[:100]!r} was found; compressed bodies are not supported")


def _replay(body: bytes) -> Receive:
    """Return a `receive` that gives the whole body and then never returns; BodyMiddleware watches for disconnects."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await asyncio.Future()

    return receive
