"""Load generators: a closed loop of clients that wait for their answers, and an open loop at a fixed request rate.

The open loop measures from intended start times, so that a stalling service is not asked less (coordinated omission).
The client implements a minimum of HTTP, because it shares the processors with the service.
"""

import asyncio
import base64
import json
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import uvloop

PATIENCE = 30  # seconds after which a request counts as hanging


class Answer(NamedTuple):
    """Intended start and completion of a request, on one clock; status 0: the connection broke."""

    meant: float
    done: float
    status: int
    retry_after: bool

    @property
    def seconds(self) -> float:
        """Return the seconds from the intended start to the complete answer."""
        return self.done - self.meant


def post(path: str, body: dict[str, object], headers: str = "") -> bytes:
    """Build a POST request as bytes."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def recognise(picture: bytes) -> bytes:
    """Build a request to recognise a picture."""
    return post("/process-image", {"image_data": base64.b64encode(picture).decode()})


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answer: asyncio.Future[tuple[int, bool]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> tuple[int, bool]:
        """Send a request; return the status, and whether there was a Retry-After; raises ConnectionError."""
        assert self._transport
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer.clear()
        if b"connection: close" in head:
            self.close()
        if self._answer and not self._answer.done():
            self._answer.set_result((int(head[9:12]), b"retry-after:" in head))

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection broke"))

    def close(self) -> None:
        if self._transport:
            self._transport.close()


class _Client:
    """Connections that are reused."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[_Connection] = []

    async def ask(self, request: bytes, meant: float) -> Answer:
        """Send a request; a broken, refused or hanging connection is status 0."""
        connection = None
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await self._connection()
                status, retry_after = await connection.ask(request)
        except (OSError, TimeoutError):
            if connection:
                connection.close()
            return Answer(meant, time.perf_counter(), 0, False)
        self._free.append(connection)
        return Answer(meant, time.perf_counter(), status, retry_after)

    async def _connection(self) -> _Connection:
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        _, made = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        return made

    def close(self) -> None:
        for connection in self._free:
            connection.close()


def closed_loop(
    port: int, requests: Sequence[bytes], clients: int, count: int, until_broken: bool = False
) -> list[Answer]:
    """Run `clients` clients, each sending its next request after its answer, until `count` requests are answered.

    With `until_broken` a client ends when its connection breaks.
    """

    async def main() -> list[Answer]:
        client, answers = _Client(port), list[Answer]()

        async def one() -> None:
            for number in numbers:
                answers.append(await client.ask(requests[number % len(requests)], time.perf_counter()))
                if until_broken and answers[-1].status == 0:
                    return

        numbers = iter(range(count))
        await asyncio.gather(*(one() for _ in range(clients)))
        client.close()
        return answers

    return uvloop.run(main())


def open_loop(port: int, requests: Sequence[bytes], rate: float, seconds: float, seed: int = 0) -> list[Answer]:
    """Send `rate` requests a second for `seconds`, at random intervals, whether or not earlier ones are answered."""

    async def main() -> list[Answer]:
        client, rng, asked = _Client(port), random.Random(seed), list[asyncio.Task[Answer]]()
        start = meant = time.perf_counter()
        while meant < start + seconds:
            if (wait := meant - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            asked.append(asyncio.create_task(client.ask(requests[len(asked) % len(requests)], meant)))
            meant += rng.expovariate(rate)
        answers = await asyncio.gather(*asked)
        client.close()
        return list(answers)

    return uvloop.run(main())


@dataclass(frozen=True)
class Summary:
    """The results of a load: answers per second, and the 50th and 99th percentile of the latency, s."""

    rate: float
    p50: float
    p99: float


def summary(answers: Sequence[Answer]) -> Summary:
    """Summarise two or more answers."""
    begun, ended = min(each.meant for each in answers), max(each.done for each in answers)
    times = statistics.quantiles([each.seconds for each in answers], n=100)
    return Summary(len(answers) / (ended - begun), times[49], times[98])
