"""Admission: large bodies are limited by number and bytes, and slow senders block no others."""

import asyncio

import pytest

from app.api.bodies import AdmissionMiddleware
from app.errors import Overloaded


class Service:
    """A service that may be draining."""

    draining = False


class Call:
    """One request to an AdmissionMiddleware, whose body arrives when the test sends it."""

    def __init__(self, admission: AdmissionMiddleware, declared: int) -> None:
        self.pieces: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.status = 0
        state = {"service": Service(), "request_id": "a"}
        headers = [(b"content-length", str(declared).encode())]
        scope = {"type": "http", "path": "/process-image", "headers": headers, "state": state, "method": "POST"}
        self.task = asyncio.create_task(admission(scope, self.pieces.get, self._send))

    async def _send(self, message) -> None:
        self.status = message.get("status", self.status)

    async def send(self, body: bytes, more: bool = False) -> None:
        self.pieces.put_nowait({"type": "http.request", "body": body, "more_body": more})
        for _ in range(10):
            await asyncio.sleep(0)


class App:
    """Read a whole body, as BodyMiddleware does, and hold the request until `done`."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.read = 0

    async def __call__(self, scope, receive, send) -> None:
        while (await receive()).get("more_body"):
            pass
        self.read += 1
        await self.done.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.fixture
def run():
    """Run a test's coroutine with an admission of at most 3 requests and 100,000 bytes."""

    def run(test) -> None:
        async def main() -> None:
            app = App()
            await test(app, AdmissionMiddleware(app, most=3, most_bytes=100_000))

        asyncio.run(main())

    return run


def test_slow_senders_keep_nobody_out(run):
    """Fifty incomplete bodies count by the bytes received so far; a fast one is still admitted."""

    async def test(app, admission):
        slow = [Call(admission, declared=9_000_000) for _ in range(50)]
        for call in slow:
            await call.send(b"{", more=True)
        fast = Call(admission, declared=90_000)
        await fast.send(b"x" * 90_000)
        assert app.read == 1
        app.done.set()
        await fast.task
        assert fast.status == 200
        for call in slow:
            call.task.cancel()

    run(test)


def test_a_request_is_refused_unread_while_enough_are_in_hand(run):
    """The fourth body is rejected without being read."""

    async def test(app, admission):
        for _ in range(3):
            await Call(admission, declared=9_000).send(b"x" * 9_000)
        late = Call(admission, declared=9_000)
        await late.task
        assert (app.read, late.status, late.pieces.qsize()) == (3, 503, 0)
        app.done.set()

    run(test)


@pytest.mark.parametrize("piece", [9_000, 33_000])
def test_bodies_that_arrive_together_are_refused_once_there_are_too_many(run, piece):
    """The middleware that reads the body gets Overloaded, for the limits on number and on bytes."""

    async def test(app, admission):
        refused = []

        async def reading(scope, receive, send):
            try:
                await app(scope, receive, send)
            except Overloaded as error:
                refused.append(str(error))

        admission._app = reading
        calls = [Call(admission, declared=5_000) for _ in range(5)]
        for call in calls:
            await call.send(b"x" * piece)
        assert (app.read, len(refused)) == (3, 2)
        assert "are in progress already" in refused[0]
        app.done.set()

    run(test)


def test_one_body_alone_is_let_in(run):
    """A single body of any size is admitted; another layer limits the size."""

    async def test(app, admission):
        alone = Call(admission, declared=10**9)
        await alone.send(b"x" * 1_000_000)
        assert app.read == 1
        app.done.set()
        await alone.task
        assert alone.status == 200

    run(test)


def test_a_draining_service_lets_nothing_in(run, monkeypatch):
    """Every call except the health checks is rejected."""
    monkeypatch.setattr(Service, "draining", True)

    async def test(app, admission):
        call = Call(admission, declared=10)
        await call.task
        assert (app.read, call.status) == (0, 503)

    run(test)
