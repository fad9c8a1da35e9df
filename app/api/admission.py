"""Admission: what is refused unread, because too much is in hand or the service is ending."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import failures
from app.api.access import OPEN_PATHS
from app.errors import Draining, LarderError, Overloaded

SMALL = 4096  # bytes of a body that are no load: counts to change, a few labels


class AdmissionMiddleware:
    """Lets at most so many large bodies in at a time, and so many bytes of them; nobody once the service is draining.

    One body alone is always let in: how large it may be is another layer's rule.
    """

    def __init__(self, app: ASGIApp, most: int, most_bytes: int) -> None:
        self._app = app
        self._most = most
        self._most_bytes = most_bytes
        self._in_hand: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and scope["state"]["service"].draining:
            await self._refuse(Draining("the service is shutting down"), scope, receive, send)
            return
        size = _size(Headers(scope=scope)) if scope["type"] == "http" else 0
        if size <= SMALL:
            await self._app(scope, receive, send)
            return
        if len(self._in_hand) >= self._most or (self._in_hand and sum(self._in_hand) + size > self._most_bytes):
            error = Overloaded(f"{len(self._in_hand)} requests are in hand already")
            await self._refuse(error, scope, receive, send)
            return
        self._in_hand.append(size)
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_hand.remove(size)

    async def _refuse(self, error: LarderError, scope: Scope, receive: Receive, send: Send) -> None:
        await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)


def _size(headers: Headers) -> int:
    """The bytes that a request declares; one that comes in pieces of unknown number counts as a mebibyte."""
    declared = headers.get("content-length", "")
    if "transfer-encoding" in headers:
        return 1024 * 1024
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0
