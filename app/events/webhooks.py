"""Webhooks: post each event to a URL, signed according to Standard Webhooks, with retries.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import base64
import binascii
import ipaddress
import random
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import httpcore2
from standardwebhooks import Webhook as Signer

from app import __version__
from app.errors import InvalidRequest, SettingsError
from app.events.hub import Event, Hub
from app.log import get_logger
from app.metrics import Metrics
from app.serving.image_fetcher import CheckedBackend, addresses_of
from app.serving.url_policy import Address, Target, parse_url
from app.settings import Settings

TIMEOUT_S = 10.0  # of one attempt, from resolving the name to the status
RETRIED_S = 600.0  # retries of an event end this long after its first attempt
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # between attempts, with exponential backoff
BODY_BYTES, BODY_S = 65_536, 1.0  # limits on reading the body of a response
GONE = 410
_SECRET_BYTES = range(24, 65)  # by the specification


class Webhook:
    """Posts events to one URL in order; a slow or absent receiver delays nothing else."""

    def __init__(
        self,
        name: str,
        target: Target,
        secret: str,
        metrics: Metrics,
        *,
        timeout_s: float = TIMEOUT_S,
        retried_s: float = RETRIED_S,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        """`name` is used in logs and metrics, because the URL may contain a token."""
        self._name = name
        self._target = target
        self._sign = Signer(secret).sign
        self._metrics = metrics
        self._timeout_s, self._retried_s, self._first_wait_s = timeout_s, retried_s, first_wait_s
        self._backend = CheckedBackend(self._addresses)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context() if target.scheme == "https" else None,
            keepalive_expiry=30,
            network_backend=self._backend,
        )
        self._problem: str | None = None
        self._resolver = ThreadPoolExecutor(1, thread_name_prefix=name)  # a name that does not resolve delays no other

    async def run(self, hub: Hub) -> None:
        """Post each event until the hub is closed, or the receiver answers 410 Gone."""
        seen, log = 0, get_logger()
        try:
            while not hub.closed or hub.latest > seen:
                await hub.wait(seen)
                if missed := hub.missed(seen):
                    log.warning("webhook events lost", webhook=self._name, lost=missed, reason="too many wait")
                    self._metrics.delivered(self._name, "lost", missed)
                    seen += missed
                for event in hub.since(seen):
                    status = await self._deliver(event, hub)
                    seen = event.number
                    if status == GONE:
                        log.error("webhook disabled until the next start: it answers 410", webhook=self._name)
                        return
                    if hub.closed and self._problem is not None:
                        return
        finally:
            if hub.closed and (left := hub.latest - seen):
                log.warning("webhook events lost", webhook=self._name, lost=left, reason="the service ends")
                self._metrics.delivered(self._name, "lost", left)
            await self._pool.aclose()
            self._resolver.shutdown(wait=False, cancel_futures=True)

    async def _deliver(self, event: Event, hub: Hub) -> int:
        """Post an event until it is accepted, the receiver is gone, or RETRIED_S is over; return the last status.

        The status is 0 if there was no response.
        """
        wait, end = self._first_wait_s, asyncio.get_running_loop().time() + self._retried_s
        while True:
            status, problem = await self._try(event)
            if 200 <= status < 300 or status == GONE:
                break
            self._metrics.delivered(self._name, "failed")
            if self._problem is None:  # logged once per outage
                get_logger().warning("webhook fails", webhook=self._name, reason=problem)
            self._problem = problem
            if hub.closed or asyncio.get_running_loop().time() + wait > end:
                get_logger().error("webhook event given up", webhook=self._name, id=event.id, reason=problem)
                self._metrics.delivered(self._name, "lost")
                return status
            await hub.pause(wait * random.uniform(0.5, 1.0))  # noqa: S311 - to spread a fleet, not to keep a secret
            wait = min(2 * wait, LONGEST_WAIT_S)
        if self._problem is not None:
            get_logger().info("webhook works again", webhook=self._name)
            self._problem = None
        self._metrics.delivered(self._name, "gone" if status == GONE else "delivered")
        return status

    async def _try(self, event: Event) -> tuple[int, str]:
        """Return the status of one attempt, 0 without a response, and the problem."""
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await self._post(event)
            return status, f"it answers {status}"
        except TimeoutError:
            return 0, f"no answer within {self._timeout_s:g} s"
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as error:
            return 0, f"{type(error).__name__}: {error}"

    async def _post(self, event: Event) -> int:
        """Post an event and return the status; redirects are not followed."""
        now, body, target = datetime.now(UTC), event.json, self._target
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"larder/{__version__}",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._sign(event.id, now, body),
        }
        url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        request = self._pool.stream(
            "POST", url, headers=list(headers.items()), content=body.encode(), extensions={"trace": self._backend.trace}
        )
        async with request as response:
            with suppress(TimeoutError):
                async with asyncio.timeout(BODY_S):  # a connection is reused once its response was read
                    read = 0
                    async for chunk in response.aiter_stream():
                        if (read := read + len(chunk)) > BODY_BYTES:
                            break
            return int(response.status)

    async def _addresses(self) -> list[Address]:
        """Resolve the URL's host; private addresses are allowed, because the operator chose it."""
        loop = asyncio.get_running_loop()
        names = await loop.run_in_executor(self._resolver, addresses_of, self._target.host, self._target.port)
        return [ipaddress.ip_address(name) for name in dict.fromkeys(names)]


def open_webhooks(settings: Settings, metrics: Metrics) -> list[Webhook]:
    """Create the webhooks of LARDER_WEBHOOKS. Raises SettingsError, whose message repeats no URL and no secret."""
    urls = [url.get_secret_value() for url in settings.webhooks]
    secrets = [secret.get_secret_value() for secret in settings.webhook_secrets]
    if not urls:
        return []
    if len(secrets) not in (1, len(urls)):
        found = f"{len(secrets)} secrets were found for {len(urls)} webhooks"
        raise SettingsError(f"LARDER_WEBHOOK_SECRETS: {found}; one for all, or one for each, is needed")
    _check_secrets(secrets)
    targets = [_target(number, url) for number, url in enumerate(urls, 1)]
    each = secrets if len(secrets) == len(urls) else secrets * len(urls)
    return [
        Webhook(f"webhook {number}, {target.host}", target, secret, metrics)
        for number, (target, secret) in enumerate(zip(targets, each, strict=True), 1)
    ]


def _target(number: int, url: str) -> Target:
    try:
        return parse_url(url)
    except InvalidRequest as error:
        raise SettingsError(f"LARDER_WEBHOOKS: number {number}: {error}") from error


def _check_secrets(secrets: Sequence[str]) -> None:
    for number, secret in enumerate(secrets, 1):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if not secret.startswith("whsec_") or len(key) not in _SECRET_BYTES:
            raise SettingsError(
                f"LARDER_WEBHOOK_SECRETS: number {number} is not a secret: whsec_ and base64 of 24 to 64 random bytes "
                'is allowed, as `echo "whsec_$(openssl rand -base64 32)"` makes it'
            )
