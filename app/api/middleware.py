"""Middlewares for every request: id, log line and security headers; access control; refusal of encoded slashes.

Without keys, requests are protected against cross-site requests and DNS rebinding.
"""

import ipaddress
import random
import re
import time
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import failures
from app.api.dependencies import acting_for
from app.errors import Forbidden, InvalidRequest, Unauthorized
from app.log import bind_request, get_logger
from app.metrics import Metrics
from app.pantry import item_name
from app.serving.keys import Keys
from app.tracing import note

OPEN_PATHS = ("/", "/livez")  # probes: load balancers call them often and without a key
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
_SLASHED = re.compile(rb"/pantry/([^/?]*%2f[^/?]*)", re.IGNORECASE)
PAGES = ("/docs", "/redoc")  # for browsers; their scripts and styles are served below ASSETS
ASSETS = "/static-offline-docs/"
DESCRIPTIONS = (*PAGES, "/openapi.json")  # they include the paths of other calls
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"worker-src blob:; frame-ancestors 'none'",
)
NO_CONTENT_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
CLIENT_LEFT = 499  # status in the log and the metrics when the client disconnected
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._-]{1,50}){1,8}")


class RequestMiddleware:
    """Give each request an id, log and count it, and answer 500 to unhandled exceptions."""

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
                policy = PAGE_POLICY if path in PAGES else NO_CONTENT_POLICY
                message["headers"] = [*message["headers"], *own, policy]
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
        """Count and log a request; those refused by admission come in floods and are only counted."""
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


class AccessMiddleware:
    """Require one of the API keys; without keys, refuse changes by web pages of other origins."""

    def __init__(
        self, app: ASGIApp, keys: Keys, origins: Sequence[str], hosts: Sequence[str], metrics: Metrics
    ) -> None:
        """`origins` may make changes from their pages; `hosts` are the accepted host names, `*` for any.

        Without host names, requests to a loopback address need `localhost` or an IP address, others any name.
        """
        self._app = app
        self._keys = keys
        self._origins = origins
        self._hosts = hosts
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        api_key, name = b"", ""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                api_key, name = self._check(scope)
            except (Unauthorized, Forbidden) as error:
                await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)
                return
        if name:
            self._metrics.key(name)
        with acting_for(api_key, name, scope.get("state", {}).get("request_id", "")):
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> tuple[bytes, str]:
        """Return the API key of the request and its name, empty if none is needed; raise Unauthorized or Forbidden.

        The API's description is open: browsers cannot send a key when they load a page.
        """
        headers = Headers(scope=scope)
        if self._keys.needed:
            described = scope["path"] in DESCRIPTIONS or scope["path"].startswith(ASSETS)
            return (b"", "") if described else check_key(headers, self._keys)
        host = headers.get("host")  # only programs that speak HTTP/1.0 send none
        if host is not None and (self._hosts or _is_loopback((scope.get("server") or [""])[0])):
            check_host(host, self._hosts)
        if scope["method"] not in _SAFE_METHODS:
            check_origin(headers, self._origins)
        return b"", ""


def check_key(headers: Headers, keys: Keys) -> tuple[bytes, str]:
    """Return the key of `X-API-Key` or `Authorization: Bearer`, and its name; raise Unauthorized if neither is valid.

    Either is accepted, because a gateway may use the other one itself.
    """
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    sent = [headers.get("x-api-key", ""), bearer.strip() if scheme.lower() == "bearer" else ""]
    names = {key: keys.name(key) for key in (text.encode("latin-1") for text in sent)}  # both: in constant time
    right = [(key, name) for key, name in names.items() if name]
    if not right:
        raise Unauthorized("an API key is needed: send Authorization: Bearer KEY or X-API-Key: KEY")
    return right[0]


def check_host(host: str, allowed: Sequence[str]) -> None:
    """Raise Forbidden for a host name that is not allowed.

    A page that resolves its own name to this machine (DNS rebinding) has the same origin for the browser, but its name
    is in `Host`. IP addresses and localhost cannot be rebound.

    >>> check_host("127.0.0.1:8000", []), check_host("[::1]", []), check_host("larder.example", ["larder.example"])
    (None, None, None)
    """
    found = _HOST.fullmatch(host)
    name = found[1].lower().rstrip(".") if found else ""
    if "*" in allowed or name in allowed or name == "localhost" or name.endswith(".localhost") or _is_address(name):
        return
    raise Forbidden(f"the host {host[:100]!r} is not allowed: add it to LARDER_HOSTS, or set keys")


def check_origin(headers: Headers, allowed: Sequence[str]) -> None:
    """Raise Forbidden for a change requested by a page of another origin.

    Browsers send Origin with every change, and Sec-Fetch-Site over HTTPS and to this machine; other programs send
    neither. X-Forwarded-Host counts, because a page cannot send it to another origin without a preflight.
    """
    origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
    if "*" in allowed or origin in allowed or site in ("same-origin", "none") or not (origin or site):
        return
    own = {headers.get("host", "").lower(), headers.get("x-forwarded-host", "").lower()} - {""}
    if not site and origin.lower().partition("://")[2] in own:
        return
    raise Forbidden(
        f"the origin {(origin or site)[:100]!r} may not change anything: add it to LARDER_CORS, or set keys"
    )


@lru_cache
def _is_loopback(address: str) -> bool:
    """Return whether a request came to a loopback address; a platform may know no address, but a name."""
    return _is_address(address) and ipaddress.ip_address(address).is_loopback


@lru_cache
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


class EncodedSlashMiddleware:
    """Reject item names with a percent-encoded slash.

    It runs before the routes, because they see the decoded path, in which `POST /pantry/rice%2Fadd` adds rice. A
    gateway that passes on only the decoded path defeats it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            check_name(scope.get("raw_path") or b"")
        except InvalidRequest as error:
            await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)
            return
        await self._app(scope, receive, send)


def check_name(path: bytes) -> None:
    """Raise InvalidRequest for the path of an item whose name has a slash.

    >>> check_name(b"/pantry/half%2Fhalf/add")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    app.errors.InvalidRequest: invalid item name 'half/half': it has the character U+002F SOLIDUS; ...
    """
    if found := _SLASHED.match(path):
        item_name(unquote(found[1].decode("latin-1")))
