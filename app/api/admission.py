"""Admission control: back-pressure on request bodies, and refusal of all requests while draining."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import failures
from app.api.access import OPEN_PATHS
from app.errors import Draining, LarderError, Overloaded

SMALL = 4096  # bytes of a body that need no admission: counts to change, a few labels


@dataclass(eq=False)
class _Request:
    """A request with a large body."""

    received: int = 0
    """Bytes of the body so far."""
    complete: bool = False


class AdmissionMiddleware:
    """Limit the large bodies in progress by number and bytes; refuse everything once the service is draining.

    Only complete bodies count by number; incomplete ones count by the bytes that have arrived, so slow senders keep
    nobody out. A single body is always admitted: BodyMiddleware bounds its size.
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
        """Wrap `receive` to count what arrives; raises Overloaded when a body exceeds the limits."""

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
