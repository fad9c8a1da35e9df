"""Access control: API keys; without keys, protection against cross-site requests and DNS rebinding."""

import ipaddress
import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import failures
from app.api.idempotency import acting_for
from app.errors import Forbidden, Unauthorized
from app.serving.keys import Keys

OPEN_PATHS = ("/", "/livez")  # probes: load balancers call them often and without a key
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")


class AccessMiddleware:
    """Require one of the API keys; without keys, refuse changes by web pages of other origins."""

    def __init__(self, app: ASGIApp, keys: Keys, origins: Sequence[str], hosts: Sequence[str]) -> None:
        """Take the origins whose pages may make changes, and the host names to answer to, `*` for any name.

        Without host names, requests to a loopback address need `localhost` or an address, others any name.
        """
        self._app = app
        self._keys = keys
        self._origins = origins
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        api_key = b""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                api_key = self._check(scope)
            except (Unauthorized, Forbidden) as error:
                await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)
                return
        with acting_for(api_key):
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> bytes:
        """Return the API key of the request, empty where none is needed; raise Unauthorized or Forbidden."""
        headers = Headers(scope=scope)
        if self._keys.needed:
            return check_key(headers, self._keys)
        host = headers.get("host")  # only programs that speak HTTP/1.0 send none
        if host is not None and (self._hosts or _is_loopback(scope)):
            check_host(host, self._hosts)
        if scope["method"] not in _SAFE_METHODS:
            check_origin(headers, self._origins)
        return b""


def check_key(headers: Headers, keys: Keys) -> bytes:
    """Return the key that `X-API-Key` or `Authorization: Bearer` has; raise Unauthorized when neither is a key.

    Either will do: a gateway may use the other one for itself.
    """
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    sent = [headers.get("x-api-key", ""), bearer.strip() if scheme.lower() == "bearer" else ""]
    right = [key for key in (text.encode("latin-1") for text in sent) if keys.have(key)]  # both: in constant time
    if not right:
        raise Unauthorized("an API key is needed: send Authorization: Bearer KEY or X-API-Key: KEY")
    return right[0]


def check_host(host: str, allowed: Sequence[str]) -> None:
    """Raise Forbidden for a host name that is not allowed.

    A page that has its own name resolve to this machine (DNS rebinding) is of the same origin to the browser, but its
    name stands in `Host`. IP addresses and localhost cannot be rebound.

    >>> check_host("127.0.0.1:8000", []), check_host("[::1]", []), check_host("larder.example", ["larder.example"])
    (None, None, None)
    """
    found = _HOST.fullmatch(host)
    name = found[1].lower().rstrip(".") if found else ""
    if "*" in allowed or name in allowed or name == "localhost" or name.endswith(".localhost") or _is_address(name):
        return
    raise Forbidden(f"the host {host[:100]!r} is not allowed: add it to LARDER_HOSTS, or set keys")


def check_origin(headers: Headers, allowed: Sequence[str]) -> None:
    """Raise Forbidden for a change that a page of another origin asks for.

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


def _is_loopback(scope: Scope) -> bool:
    """Return whether the request came to a loopback address; a platform may know no address, but a name."""
    address = (scope.get("server") or [""])[0]
    return _is_address(address) and ipaddress.ip_address(address).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
