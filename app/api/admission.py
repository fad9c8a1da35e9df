"""How much may be in hand: a large body is refused before it is read when there is too much already."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import failures
from app.errors import Overloaded

SMALL = 4096  # bytes of a body that are no load: counts to change, a few labels


class AdmissionMiddleware:
    """Lets at most so many large bodies in at a time, and so many bytes of them; a refusal costs no reading.

    One body alone is always let in: how large it may be is another layer's rule.
    """

    def __init__(self, app: ASGIApp, most: int, most_bytes: int) -> None:
        self._app = app
        self._most = most
        self._most_bytes = most_bytes
        self._in_hand: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = _size(Headers(scope=scope)) if scope["type"] == "http" else 0
        if size <= SMALL:
            await self._app(scope, receive, send)
            return
        if len(self._in_hand) >= self._most or (self._in_hand and sum(self._in_hand) + size > self._most_bytes):
            error = Overloaded(f"{len(self._in_hand)} requests are in hand already")
            await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)
            return
        self._in_hand.append(size)
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_hand.remove(size)


def _size(headers: Headers) -> int:
    """The bytes that a request declares; one that comes in pieces of unknown number counts as a mebibyte."""
    declared = headers.get("content-length", "")
    if "transfer-encoding" in headers:
        return 1024 * 1024
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0
