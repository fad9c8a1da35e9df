"""Policy for pictures by URL: allowed hosts, and addresses that are public or named (against SSRF)."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

import idna

from app.errors import InvalidRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2048  # characters
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMERIC = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")  # WHATWG URL: a host that ends in a number is an IPv4 address
_METADATA = {ipaddress.ip_address("168.63.129.16")}  # Azure's, which is public
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_UNICAST = ipaddress.ip_network("2000::/3")


class Target(NamedTuple):
    """The components of a well-formed URL."""

    scheme: str
    host: str
    """Lower-case ASCII without a trailing dot; an IPv6 address without brackets."""
    port: int
    path: str
    """Including the query."""


def parse_url(url: str) -> Target:
    """Parse a URL; raises InvalidRequest for any that two programs could interpret differently.

    >>> parse_url("https://Images.Example.org./a.jpg?b")
    Target(scheme='https', host='images.example.org', port=443, path='/a.jpg?b')
    """
    if len(url) > MAX_URL:
        raise InvalidRequest(f"the URL has {len(url):,} characters; at most {MAX_URL:,} are accepted")
    if re.search(r"[\s\\\x00-\x20\x7f]", url):
        raise InvalidRequest("the URL has a blank, a control character or a backslash in it: percent-encode it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidRequest("the URL is malformed") from error
    if parts.scheme not in _PORTS:
        raise InvalidRequest("the URL does not begin with http:// or https://")
    if "@" in parts.netloc or "%" in parts.netloc:
        raise InvalidRequest("the URL has a user, a password or percent-encoding before its path; none is accepted")
    path = re.sub(r"[^!-~]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), parts.path or "/")
    query = re.sub(r"[^!-~]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), parts.query)
    own = _PORTS[parts.scheme] if port is None else port
    return Target(parts.scheme, _host(parts.netloc, parts.hostname or ""), own, path + (f"?{query}" if query else ""))


def _host(netloc: str, host: str) -> str:
    """Normalise the host; raises InvalidRequest for numbers that only some programs read as addresses."""
    if netloc.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise InvalidRequest("the URL's host is not an IPv6 address") from error
    try:
        name = idna.encode(host, uts46=True).decode().lower() if not host.isascii() else host.lower()
    except idna.IDNAError as error:
        raise InvalidRequest("the URL's host is not a domain name") from error
    name = name.removesuffix(".")
    if _NUMERIC.fullmatch(name):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise InvalidRequest("the URL's host is a number: write an IPv4 address as four decimal numbers") from error
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise InvalidRequest("the URL's host is not a domain name")
    return name


def is_public(address: Address) -> bool:
    """Return whether an address is public, including the IPv4 address embedded in an IPv6 one.

    >>> [is_public(ipaddress.ip_address(text)) for text in ("192.0.32.10", "10.0.0.1", "::ffff:127.0.0.1")]
    [True, False, False]
    """
    if address in _METADATA or not address.is_global or address.is_multicast or address.is_reserved:
        nat64 = isinstance(address, ipaddress.IPv6Address) and address in _NAT64
        return nat64 and is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return (
        address in _UNICAST and address.teredo is None and (address.sixtofour is None or is_public(address.sixtofour))
    )


@dataclass(frozen=True)
class _Allowed:
    """One entry of LARDER_IMAGE_URLS that names hosts."""

    host: str
    scheme: str = ""
    port: int | None = None
    path: str = ""

    def covers(self, target: Target) -> bool:
        own = target.host.endswith(self.host[1:]) if self.host.startswith("*.") else self.host in ("*", target.host)
        scheme = self.scheme in ("", target.scheme)
        port = target.port == (_PORTS[target.scheme] if self.port is None else self.port)
        return own and scheme and port and _within(self.path, target.path)


def _within(prefix: str, path: str) -> bool:
    """Return whether a path begins with a prefix without leaving it by `..`."""
    climbs = re.search(r"(^|/)(\.|%2e){2}(/|$|\?)", path, re.IGNORECASE)
    return path.startswith(prefix) and not (prefix and climbs)


class UrlPolicy:
    """The rules of LARDER_IMAGE_URLS: hosts, URL prefixes, and networks whose addresses need not be public."""

    def __init__(self, entries: Sequence[str]) -> None:
        """Accepts `*`, `example.org`, `*.example.org`, `example.org:8443`, `https://example.org/a/`, `10.1.0.0/16`."""
        self._networks = []
        self._hosts = []
        for entry in entries:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._hosts.append(_allowed(entry))

    def __bool__(self) -> bool:
        return bool(self._networks or self._hosts)

    def allowed_among(self, target: Target, addresses: Sequence[Address]) -> list[Address]:
        """Return the addresses of a target's host that may be connected to."""
        named = any(entry.covers(target) for entry in self._hosts)
        return [each for each in addresses if self._is_named(each) or (named and is_public(each))]

    def _is_named(self, address: Address) -> bool:
        """Return whether an address, or its IPv4-mapped address, is in one of the networks."""
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)


def _allowed(entry: str) -> _Allowed:
    if "://" in entry:
        target = parse_url(entry)
        return _Allowed(target.host, target.scheme, target.port, target.path)
    host, _, port = entry.partition(":")
    return _Allowed(host.lower().removesuffix("."), port=int(port) if port else None)
