"""Request ids, logging, metrics and error answers; bounded bodies and deadlines."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import failures
from app.api.access import OPEN_PATHS
from app.api.deadline import HEADER, Deadline, DeadlineExceeded, seconds_of
from app.api.json_bodies import check_structure
from app.errors import ImageTooLarge, InvalidRequest, Overloaded, RequestTimeout
from app.log import bind_request, get_logger
from app.metrics import Metrics
from app.tracing import note

PAGES = ("/docs", "/redoc")  # for browsers, with scripts of their own
DESCRIPTIONS = (*PAGES, "/openapi.json")  # they contain the addresses of other calls
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
NO_CONTENT_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
CLIENT_LEFT = 499  # status in the log and the metrics when the client disconnected
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._-]{1,50}){1,8}")


class RequestMiddleware:
    """Give each request an id, log and count it, and answer 500 to exceptions that nobody handled."""

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
        path, status = scope["path"], 0
        if path in DESCRIPTIONS and (prefix := prefix_of(scope)):
            scope["root_path"], scope["path"] = prefix, prefix + path  # in ASGI the path includes the root path
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id.encode()), *SECURITY_HEADERS]
                policy = [] if path in PAGES else [NO_CONTENT_POLICY]
                message["headers"] = [*message["headers"], *own, *policy]
            await send(message)

        with bind_request(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                self._log.exception("internal error")
                if status == 0:
                    await failures.answer(error, request_id)(scope, receive, send_with_id)
            self._record(scope, path, status or CLIENT_LEFT, time.perf_counter() - start)

    def _record(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        """Count and log a request; those that admission refuses come in floods and are only counted."""
        code = scope["state"].get("code")
        self._metrics.request(scope["method"], route_of(scope), status, seconds, code)
        if code not in ("overloaded", "draining") and (path not in OPEN_PATHS or status >= 500):
            about = {"method": scope["method"], "path": path, "status": status}
            self._log.info("request", **about, ms=round(1000 * seconds, 1))


def prefix_of(scope: Scope) -> str:
    """Return the path prefix that a proxy strips, from `X-Forwarded-Prefix`; empty without one."""
    prefix = Headers(scope=scope).get("x-forwarded-prefix", "")
    return prefix if _PREFIX.fullmatch(prefix) else ""


def route_of(scope: Scope) -> str:
    """Return the template of the matched route, such as /pantry/{item}, or "none"."""
    return getattr(scope.get("route"), "path", "none")


class BodyMiddleware:
    """Read the whole body, at most `max_bytes` of it, before the app sees the request; keep the request's deadline."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

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
                await check_structure(headers.get("content-type", ""), body)
                await self._run(self._app(scope, _replay(body), send), deadline, receive)
        except (InvalidRequest, ImageTooLarge, Overloaded, RequestTimeout) as error:
            await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive, deadline: Deadline) -> bytes | None:
        """Return the body, None when the client left. Raise ImageTooLarge or RequestTimeout."""
        body = bytearray()
        try:
            complete = await deadline.run(self._fill(body, scope, receive))
        except DeadlineExceeded as error:
            found = f"{len(body):,} bytes of the body arrived within {deadline.seconds:g} s, not the whole body"
            raise RequestTimeout(f"{found}; nothing was carried out") from error
        return bytes(body) if complete else None

    async def _fill(self, body: bytearray, scope: Scope, receive: Receive) -> bool:
        """Append all of the request to `body`, return False when the client left. Raise ImageTooLarge."""
        declared = Headers(scope=scope).get("content-length", "")
        size = int(declared) if declared.isdecimal() and len(declared) < 20 else 0
        more = True
        while more and max(size, len(body)) <= self._max_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if max(size, len(body)) > self._max_bytes:
            raise ImageTooLarge(f"the body has more than {self._max_bytes:,} bytes, the most that is accepted")
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
    app.errors.InvalidRequest: Content-Encoding: 'gzip' was found; a body is sent as it is, not compressed
    """
    if coding.strip().lower() not in ("", "identity"):
        raise InvalidRequest(f"Content-Encoding: {coding[:100]!r} was found; a body is sent as it is, not compressed")


def _replay(body: bytes) -> Receive:
    """Return a `receive` that gives the whole body and then waits for ever; BodyMiddleware watches for disconnects."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await asyncio.Future()

    return receive
