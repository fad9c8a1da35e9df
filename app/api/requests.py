"""Request ids, logging, metrics, security headers, and the answer to exceptions that nobody handled."""

import random
import re
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import failures
from app.api.access import OPEN_PATHS
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
