"""Deadlines, disconnects, and bodies that are rejected unread."""

import asyncio
import json
import time

import pytest

from app.api.bodies import Deadline, DeadlineExceeded, seconds_of
from app.errors import InvalidRequest
from tests.api.test_process_image import post, problem
from tests.conftest import wait_until
from tests.fakes import as_base64, picture

BODY = {"image_data": as_base64(picture())}


async def never() -> None:
    await asyncio.Future()


def test_work_that_is_done_in_time_gives_what_it_gives():
    """The result or error is passed on, and the watcher for a disconnect is cancelled."""

    async def main():
        async def work():
            return 5

        async def broken():
            raise KeyError("broken")

        assert await Deadline(5).run(work(), never) == 5
        with pytest.raises(KeyError):
            await Deadline(5).run(broken(), never)
        await asyncio.sleep(0)  # a cancelled task ends in the next turn of the loop
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_work_is_cancelled_when_the_time_is_over_or_the_client_gone():
    """A timeout raises an error, a disconnect does not; in both cases the work is cancelled at once."""

    async def main():
        ended = []

        async def work():
            try:
                await asyncio.Future()
            finally:
                ended.append(True)

        async def leave():
            await asyncio.sleep(0)

        with pytest.raises(DeadlineExceeded):
            await Deadline(0.01).run(work(), never)
        assert await Deadline(60).run(work(), leave) is None
        assert ended == [True, True]
        await asyncio.sleep(0)  # a cancelled task ends in the next turn of the loop
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


@pytest.mark.parametrize("header", ["", "soon", "0", "-1", "nan", "inf", "61", "1e400"])
def test_a_time_that_is_none_is_malformed(client, header):
    """The timeout is a number of seconds above 0 and at most 60."""
    with pytest.raises(InvalidRequest):
        seconds_of(header)
    response = client.post("/process-image", json=BODY, headers={"X-Request-Timeout": header})
    assert "at most 60" in problem(response, 422, "invalid_request")


def test_what_is_not_answered_in_time_is_not_encoded(client, encoder):
    """After the deadline the answer is 503 with Retry-After; the picture is not encoded, and its slot is free."""
    encoder.open.clear()
    encoder.batches.clear()
    busy = [client.post("/process-image", json=BODY, headers={"X-Request-Timeout": "0.05"}) for _ in range(3)]
    for response in busy:
        problem(response, 503, "overloaded")
        assert response.headers["retry-after"] == "1"
    encoder.open.set()
    assert post(client).status_code == 200
    assert sum(encoder.batches) <= 2  # one that was being encoded already, and the last
    assert client.app.state.service.pipeline.in_hand == 0


def request(path: str, length: int) -> dict:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


def call(client, scope: dict, receive) -> list[dict]:
    """Return the messages that the app sends for a request whose messages come from `receive`."""
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        service = client.app.state.service
        await client.app(scope | {"state": {"service": service}}, receive, send)

    client.portal.call(main)
    return sent


def test_one_deadline_holds_for_all_work_of_a_request():
    """Time spent on the body is not available for the answer."""
    passed = 0.0

    async def body():
        nonlocal passed
        passed = 59.9

    async def main():
        loop = asyncio.get_running_loop()
        loop.time = lambda: time.monotonic() + passed
        deadline = Deadline(60)
        async with deadline.timeout():
            await body()
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await deadline.run(never(), never)
        assert time.monotonic() - started < 30, "0.1 s are left, not 60"

    asyncio.run(main())


@pytest.mark.parametrize("arrived", [[], [b"{"], [b"{", b'"quantity": 9']])
def test_a_body_that_does_not_arrive_in_time_is_told_so(client, arrived):
    """The answer is 408, the connection closes, and nothing is applied: a partial body is never used."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in arrived]

    async def receive():
        return messages.pop(0) if messages else await asyncio.Future()

    scope = request("/pantry/rice/add", 16)
    scope["headers"] = [*scope["headers"], (b"x-request-timeout", b"2")]
    start, body = call(client, scope, receive)
    headers = dict(start["headers"])
    assert (start["status"], headers[b"connection"]) == (408, b"close")
    error = json.loads(body["body"])["error"]
    assert error["code"] == "request_timeout"
    assert f"{sum(map(len, arrived))} bytes" in error["message"]
    assert "nothing was carried out" in error["message"]
    assert client.get("/pantry").json()["items"] == []


def test_a_body_in_many_pieces_is_read_in_linear_time(client):
    """A body in a hundred thousand one-byte pieces is read correctly."""
    content = b'{"count": 5' + b" " * 100_000 + b"}"
    pieces = [content[place : place + 1] for place in range(len(content))]
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages[-1]["more_body"] = False
    messages.reverse()

    async def receive():
        return messages.pop() if messages else await asyncio.Future()

    scope = request("/pantry/rice", len(content)) | {"method": "PUT"}
    start, _ = call(client, scope, receive)
    assert start["status"] == 200


def test_a_client_that_leaves_is_not_computed_for(client, encoder):
    """The picture is not encoded, nothing is sent, and the metrics count it as 499."""
    encoder.open.clear()
    encoder.batches.clear()
    calls = encoder.calls
    first = client.portal.start_task_soon(client.app.state.service.pipeline.vector, BODY["image_data"])
    wait_until(lambda: encoder.calls > calls)
    content = b'{"image_data": "%s"}' % BODY["image_data"].encode()
    messages = [{"type": "http.request", "body": content}, {"type": "http.disconnect"}]

    async def receive():
        if len(messages) == 1:
            await asyncio.sleep(0.05)
        return messages.pop(0)

    assert call(client, request("/process-image", len(content)), receive) == []
    encoder.open.set()
    first.result()
    assert post(client).status_code == 200
    assert encoder.batches == [1, 1]
    assert 'status="499"' in client.get("/metrics").text


def test_when_too_much_is_in_hand_a_body_is_not_read(start, encoder):
    """Large bodies beyond the limits get 503 before the first byte is read, while small requests are answered."""
    from concurrent.futures import ThreadPoolExecutor

    async def unread():
        raise AssertionError("the body was read")

    for limits in ({"max_queue": 1}, {"max_queue_bytes": 7_000}):
        client = start(**limits)
        encoder.open.clear()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(post, client, image_data=BODY["image_data"] + "\n" * 5000)
            wait_until(lambda client=client: client.app.state.service.pipeline.in_hand == 1)
            start_message, *_ = call(client, request("/process-image", 5_000), unread)
            assert start_message["status"] == 503
            assert client.put("/pantry/rice", json={"count": 1}).status_code == 200
            encoder.open.set()
            assert waiting.result().status_code == 200
        assert post(client, image_data=BODY["image_data"] + "\n" * 5000).status_code == 200
