"""How to reach a service: its URL, the key, and the proxies and certificates of the environment."""

import ipaddress
import os
import re
import ssl
import urllib.request
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2

from larder_client.errors import Unauthorized, Unreachable

T = TypeVar("T", httpx2.HTTPTransport, httpx2.AsyncHTTPTransport)


@dataclass(frozen=True)
class Connection:
    """The connection settings of one service, shared by both clients."""

    address: httpx2.URL = field(repr=False)  # may contain a password
    key: str | None = field(repr=False)
    timeout: float
    """Timeout of each step of a request, s: connect, send, wait for a chunk of the answer."""
    proxy: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """The URL without user and password, for messages."""
        return public(str(self.address))

    @property
    def way(self) -> str:
        """The URL, and the proxy on the way to it, for messages."""
        return f"{self.name} through the proxy {public(self.proxy)} of the environment" if self.proxy else self.name

    def options(self, transport: type[T]) -> dict[str, Any]:
        """Return the arguments of an HTTP client.

        Raises Unreachable if the environment names an unusable proxy or certificate file.
        """
        headers = {}
        if self.key:  # a URL with a password needs the header Authorization
            headers = {"X-API-Key": self.key} if self.address.userinfo else {"Authorization": f"Bearer {self.key}"}
        return {
            "base_url": self.address,
            "headers": headers,
            "timeout": self.timeout,
            "follow_redirects": False,
            "transport": self._transport(transport),
        }

    def _transport(self, make: type[T]) -> T:
        tls = self.address.scheme == "https" or (self.proxy or "").startswith("https:")
        context = _certificates() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused
        try:
            return make(verify=context, proxy=self.proxy)
        except ImportError as error:
            raise Unreachable(f"{self.way} cannot be reached: SOCKS needs the package socksio") from error
        except (ValueError, httpx2.InvalidURL) as error:
            allowed = "a proxy is http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"
            raise Unreachable(f"{self.way} cannot be reached: {allowed}") from error


def connect(url: str, key: str | None, timeout: float) -> Connection:
    """Return the settings for `url`; raises Unreachable for an invalid URL, Unauthorized for an invalid key."""
    if key and not re.fullmatch("[!-~]+", key):
        raise Unauthorized("the key has a blank, a line break or a letter other than ASCII in it; no key can have one")
    try:
        address = httpx2.URL(url.rstrip("/"))
        valid = address.scheme in ("http", "https") and address.host
    except httpx2.InvalidURL:
        valid = False
    if not valid:
        raise Unreachable(f"{public(url)} is not a URL; use one such as http://127.0.0.1:8000")
    return Connection(address, key or None, timeout, _proxy(address))


def public(url: str) -> str:
    """Return a URL without its user and password.

    >>> public("http://robot:secret@larder.example:8000/api")
    'http://larder.example:8000/api'
    """
    return re.sub(r"^([^/@]*//)?.*@", r"\1", url)


def _proxy(address: httpx2.URL) -> str | None:
    """Return the proxy that the environment names for a URL; None for this machine itself."""
    if _is_loopback(address.host) or urllib.request.proxy_bypass(address.host):
        return None
    proxies = urllib.request.getproxies()
    proxy = (proxies.get(address.scheme) or proxies.get("all") or "").strip()
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy or None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _certificates() -> ssl.SSLContext:
    """Return the certificates to trust, those of SSL_CERT_FILE and SSL_CERT_DIR if set."""
    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        names = [f"{name}={os.environ[name]}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ]
        where = " or ".join(names) or "this machine"
        raise Unreachable(f"the certificates of {where} cannot be read: {error}") from error
