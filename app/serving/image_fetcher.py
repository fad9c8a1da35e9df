"""Fetch pictures by URL: only from allowed hosts, connecting to the checked address, within limits."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from urllib.parse import urljoin

import httpcore2

from app import __version__
from app.errors import ImageTooLarge, InvalidImage, InvalidRequest, Overloaded
from app.serving.url_policy import Address, Target, UrlPolicy, parse_url

MAX_REDIRECTS = 3
MAX_FETCHES = 16  # concurrent
MAX_SMALL_CHUNKS = 2000  # of a body, beyond one for every 64 bytes: each takes 20 us of the event loop
MAX_HEAD_BYTES = 32 * 1024  # of a response before its body, with interim responses such as 103
DEADLINE_S = 10.0  # for one picture, from resolving the name to the last byte
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = [
    (b"User-Agent", f"larder/{__version__}".encode()),
    (b"Accept", b"image/*"),
    (b"Accept-Encoding", b"identity"),
]


class ImageFetcher:
    """Fetches pictures; for one event loop. Nothing is cached, and no URL is logged."""

    def __init__(
        self,
        policy: UrlPolicy,
        *,
        max_bytes: int,
        max_bytes_in_progress: int,
        deadline_s: float = DEADLINE_S,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Callable[[str, int], list[str]] | None = None,
    ) -> None:
        """The limits are the bytes of one request's pictures, and of all requests in progress."""
        self._policy = policy
        self._max_bytes = max_bytes
        self._in_progress = _Budget(max_bytes_in_progress)
        self._deadline_s = deadline_s
        self._ssl_context = ssl_context
        self._resolve = resolve or addresses_of
        self._slots = asyncio.Semaphore(MAX_FETCHES)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._ssl_context or ssl.create_default_context()

    @cached_property
    def _resolvers(self) -> ThreadPoolExecutor:
        """Return a separate executor: names that do not resolve must not block the default one."""
        return ThreadPoolExecutor(MAX_FETCHES, thread_name_prefix="resolve")

    @asynccontextmanager
    async def fetch(self, urls: Sequence[str]) -> AsyncIterator[list[bytes]]:
        """Fetch the pictures at these URLs; they count as in progress until the block ends.

        Raises InvalidRequest for a malformed or forbidden URL, InvalidImage if there is no picture, ImageTooLarge and
        Overloaded.
        """
        if urls and not self._policy:
            raise InvalidRequest("pictures by URL are switched off: see LARDER_IMAGE_URLS; send the picture itself")
        budget = _Budget(self._max_bytes, self._in_progress)
        try:
            targets = [parse_url(url) for url in urls]
            yield await _all(self._fetch(target, budget) for target in targets)
        finally:
            self._in_progress.used -= budget.used

    async def _fetch(self, target: Target, budget: "_Budget") -> bytes:
        try:
            async with self._slots, asyncio.timeout(self._deadline_s):
                for _ in range(MAX_REDIRECTS + 1):
                    answer = await self._get(target, budget)
                    if isinstance(answer, bytes):
                        return answer
                    if target.scheme == "https" and answer.scheme == "http":
                        raise InvalidRequest("the URL redirects from https to http, which is not followed")
                    target = answer
        except TimeoutError as error:
            raise InvalidImage(f"the picture did not arrive from its URL within {self._deadline_s:g} s") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as error:
            raise InvalidImage("the picture cannot be fetched from its URL") from error
        raise InvalidRequest(f"the URL redirects more than {MAX_REDIRECTS} times")

    async def _get(self, target: Target, budget: "_Budget") -> bytes | Target:
        """Return the picture, or the target of a redirect."""
        backend = CheckedBackend(partial(self._allowed_addresses, target))
        url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        async with (
            httpcore2.AsyncConnectionPool(
                ssl_context=self._tls if target.scheme == "https" else None, network_backend=backend
            ) as pool,
            pool.stream("GET", url, headers=_HEADERS, extensions={"trace": backend.trace}) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return _redirected(target, headers[b"location"].decode("latin-1"))
            if response.status != 200:
                raise InvalidImage(
                    f"the picture cannot be fetched from its URL: the answer has status {response.status}"
                )
            if headers.get(b"content-encoding", b"identity") != b"identity":
                raise InvalidImage("the picture cannot be fetched from its URL: the answer is compressed")
            budget.check(int(headers.get(b"content-length", b"0")))
            chunks = []
            async for chunk in response.aiter_stream():
                budget.use(len(chunk))
                chunks.append(chunk)
                if len(chunks) > MAX_SMALL_CHUNKS + budget.used // 64:
                    raise InvalidImage("the picture cannot be fetched from its URL: it comes in chunks of a few bytes")
            return b"".join(chunks)

    async def _allowed_addresses(self, target: Target) -> list[Address]:
        """Resolve a target's host; raises InvalidRequest if no address is allowed, and OSError."""
        try:
            found = [ipaddress.ip_address(target.host)]
        except ValueError:
            loop = asyncio.get_running_loop()
            names = await loop.run_in_executor(self._resolvers, self._resolve, target.host, target.port)
            found = [ipaddress.ip_address(name) for name in dict.fromkeys(names)]
        allowed = self._policy.allowed_among(target, found)
        if not allowed:
            raise InvalidRequest("the URL's host or address is not allowed: see LARDER_IMAGE_URLS")
        return allowed


async def _all(fetches: Iterable[Any]) -> list[bytes]:
    """Await all; the first failure cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fetch) for fetch in fetches]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


class _Budget:
    """A budget of bytes within a larger one."""

    def __init__(self, most: int, whole: "_Budget | None" = None) -> None:
        self._most = most
        self._whole = whole
        self.used = 0

    def check(self, more: int) -> None:
        """Raise ImageTooLarge if more bytes exceed the limit of one request, Overloaded if that of all requests."""
        if self.used + more > self._most:
            raise ImageTooLarge(f"more than {self._most:,} bytes of pictures are at the request's URLs")
        if self._whole and self._whole.used + more > self._whole._most:
            raise Overloaded("pictures of many bytes are fetched already")

    def use(self, more: int) -> None:
        """Check, and count the bytes."""
        self.check(more)
        self.used += more
        if self._whole:
            self._whole.used += more


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a target's name once, and connects to an address that the policy allows.

    TLS and the Host header keep the name, so DNS rebinding, a name that resolves to another address a moment later, has
    no effect. It also bounds what a server sends before a response's body, because interim responses may be endless.
    For one request at a time, which takes `trace` as its extension of that name.
    """

    def __init__(self, allowed_addresses: Callable[[], Awaitable[list[Address]]]) -> None:
        self._allowed_addresses = allowed_addresses
        self._connections = httpcore2.AnyIOBackend()
        self.head = _Head()

    async def trace(self, event: str, _info: Any) -> None:
        """Follow the request: its response's head is read between these two events."""
        if event == "http11.receive_response_headers.started":
            self.head.left = MAX_HEAD_BYTES
        elif event == "http11.receive_response_headers.complete":
            self.head.left = None

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the target's host, whose addresses are checked
        port: int,
        *args: Any,
        **options: Any,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first allowed address that answers. Raises InvalidRequest if none is allowed."""
        allowed = await self._allowed_addresses()
        for address in allowed[:-1]:
            try:
                return _Stream(await self._connections.connect_tcp(str(address), port, *args, **options), self.head)
            except (httpcore2.NetworkError, httpcore2.TimeoutException):
                continue
        return _Stream(await self._connections.connect_tcp(str(allowed[-1]), port, *args, **options), self.head)


@dataclass
class _Head:
    left: int | None = None
    """Bytes that a response's head may still have; None while none is read."""


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection that reads a head in small pieces, and raises RemoteProtocolError if it is too long."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, head: _Head) -> None:
        self._stream = stream
        self._head = head

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._head.left is None:
            return await self._stream.read(max_bytes, timeout)
        if self._head.left <= 0:
            raise httpcore2.RemoteProtocolError(f"the response's head has more than {MAX_HEAD_BYTES:,} bytes")
        data = await self._stream.read(min(max_bytes, 4096), timeout)
        self._head.left -= max(64, len(data))  # a read of one byte takes the event loop as long as parsing 64
        return data

    async def start_tls(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(*args, **options), self._head)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def addresses_of(host: str, port: int) -> list[str]:
    """Resolve a name to its addresses; raises OSError."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _redirected(target: Target, location: str) -> Target:
    """Return the target of a redirect; raises InvalidRequest."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    try:
        url = urljoin(f"{target.scheme}://{host}:{target.port}{target.path}", location)
    except ValueError as error:
        raise InvalidRequest("the URL redirects to a malformed one") from error
    return parse_url(url)
