"""What every request goes through: an id, a line in the log, a key, a bounded body, and an answer whatever happens."""

import asyncio
import random
import re
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import failures
from app.api.json_bodies import check_structure
from app.api.patience import HEADER, seconds_of, with_patience
from app.errors import ImageTooLarge, InvalidRequest, Overloaded, Unauthorized
from app.log import bind_request, get_logger
from app.metrics import Metrics
from app.serving.keys import Keys
from app.tracing import note

OPEN_PATHS = ("/", "/livez")  # load balancers ask these, without a key and often
PAGES = ("/docs", "/redoc")  # the two that are for browsers, with scripts of their own
ADDRESSES = (*PAGES, "/openapi.json")  # what names the addresses of other calls
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
NOTHING_ELSE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
CLIENT_LEFT = 499  # in the log and the metrics, for requests that nobody waits for any more
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._-]{1,50}){1,8}")


class RequestMiddleware:
    """Gives each request its id, logs it, counts it, and turns whatever escapes into a 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else f"{random.getrandbits(128):032x}"
        scope.setdefault("state", {})["request_id"] = request_id
        note("larder.request_id", request_id)
        if scope["path"] in ADDRESSES and (prefix := prefix_of(scope)):
            scope["root_path"] = prefix
        status = 0
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id.encode()), *SECURITY]
                policy = [] if scope["path"] in PAGES else [NOTHING_ELSE]
                message["headers"] = [*message["headers"], *own, *policy]
            await send(message)

        with bind_request(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                self._log.exception("internal error")
                if status == 0:
                    await failures.answer(error, request_id)(scope, receive, send_with_id)
            self._note(scope, status or CLIENT_LEFT, time.perf_counter() - start)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count it and write its line; those that admission refuses come in floods and are only counted."""
        code = scope["state"].get("code")
        self._metrics.request(scope["method"], route_of(scope), status, seconds, code)
        if code not in ("overloaded", "draining") and (scope["path"] not in OPEN_PATHS or status >= 500):
            about = {"method": scope["method"], "path": scope["path"], "status": status}
            self._log.info("request", **about, ms=round(1000 * seconds, 1))


def prefix_of(scope: Scope) -> str:
    """What a proxy before us strips from the paths, as `X-Forwarded-Prefix` says; empty where it says nothing."""
    prefix = Headers(scope=scope).get("x-forwarded-prefix", "")
    return prefix if _PREFIX.fullmatch(prefix) else ""


def route_of(scope: Scope) -> str:
    """The template of the route that was taken, such as /pantry/{item}; "none" where it came to none."""
    return getattr(scope.get("route"), "path", "none")


class KeyMiddleware:
    """Lets a request through when it carries one of the keys, or when there are none to carry."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._keys.needed or scope["path"] in OPEN_PATHS or self._has_key(scope):
            await self._app(scope, receive, send)
            return
        error = Unauthorized("a key is needed: send Authorization: Bearer KEY or X-API-Key: KEY")
        await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        return self._keys.have(bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", ""))


class BodyMiddleware:
    """Reads the body whole before the app sees the request, at most `most` bytes of it, and keeps the deadline."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            check_coding(headers.get("content-encoding", "identity"))
            seconds = seconds_of(headers.get(HEADER))
            body = await with_patience(self._read(scope, receive), asyncio.Future, seconds)
            if body is not None:
                await check_structure(headers.get("content-type", ""), body)
                await with_patience(self._app(scope, _replay(body), send), receive, seconds)
        except (InvalidRequest, ImageTooLarge, Overloaded) as error:
            await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body, None when the client left; raises ImageTooLarge."""
        declared = Headers(scope=scope).get("content-length", "")
        size = int(declared) if declared.isdecimal() and len(declared) < 20 else 0
        chunks: list[bytes] = []
        more = True
        while more and size <= self._most:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunks.append(message.get("body", b""))
            size = max(size, sum(map(len, chunks)))
            more = message.get("more_body", False)
        if size > self._most:
            raise ImageTooLarge(f"the body has more than {self._most:,} bytes, the most that is accepted")
        return b"".join(chunks)


def check_coding(coding: str) -> None:
    """Raises InvalidRequest for a body that is compressed.

    >>> check_coding("gzip")
    Traceback (most recent call last):
    app.errors.InvalidRequest: Content-Encoding: 'gzip' was found; a body is sent as it is, not compressed
    """
    if coding.strip().lower() not in ("", "identity"):
        raise InvalidRequest(f"Content-Encoding: {coding[:100]!r} was found; a body is sent as it is, not compressed")


def _replay(body: bytes) -> Receive:
    """A `receive` that has the body at once, and after it nothing: who leaves is seen elsewhere."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await asyncio.Future()

    return receive
