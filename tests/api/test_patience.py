"""Deadlines, clients that leave, and bodies that are refused unread."""

import asyncio

import pytest

from app.api.patience import seconds_of, with_patience
from app.errors import InvalidRequest, Overloaded
from tests.api.test_process_image import post, problem
from tests.conftest import wait_until
from tests.fakes import as_base64, picture

BODY = {"image_data": as_base64(picture())}


async def never() -> None:
    await asyncio.Future()


def test_work_that_is_done_in_time_gives_what_it_gives():
    """Its value or its error; who waits for the client to leave is ended."""

    async def main():
        async def work():
            return 5

        async def broken():
            raise KeyError("broken")

        assert await with_patience(work(), never, 5) == 5
        with pytest.raises(KeyError):
            await with_patience(broken(), never, 5)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_work_is_cancelled_when_the_time_is_over_or_the_client_gone():
    """An error for the one, nothing for the other, and in both cases the work ends at once."""

    async def main():
        ended = []

        async def work():
            try:
                await asyncio.Future()
            finally:
                ended.append(True)

        async def leave():
            await asyncio.sleep(0)

        with pytest.raises(Overloaded, match="not done within 0.01 s"):
            await with_patience(work(), never, 0.01)
        assert await with_patience(work(), leave, 5) is None
        assert ended == [True, True]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


@pytest.mark.parametrize("header", ["", "soon", "0", "-1", "nan", "inf", "61", "1e400"])
def test_a_time_that_is_none_is_malformed(client, header):
    """Seconds above 0 and at most 60."""
    with pytest.raises(InvalidRequest):
        seconds_of(header)
    response = client.post("/process-image", json=BODY, headers={"X-Request-Timeout": header})
    assert "at most 60" in problem(response, 422, "invalid_request")


def test_what_is_not_answered_in_time_is_not_encoded(client, encoder):
    """503 and Retry-After when the time is over; the picture is not encoded later on, and its place is free."""
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
    """What the app sends for a request whose messages come from `receive`."""
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        service = client.app.state.service
        await client.app(scope | {"state": {"service": service}}, receive, send)

    client.portal.call(main)
    return sent


def test_a_client_that_leaves_is_not_computed_for(client, encoder):
    """Its picture is not encoded, nothing is sent, and the numbers show it as 499."""
    encoder.open.clear()
    encoder.batches.clear()
    first = client.portal.start_task_soon(client.app.state.service.pipeline.vector, BODY["image_data"])
    wait_until(lambda: client.app.state.service.pipeline.in_hand == 1)
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
    """By their number and by their bytes: 503 before the first byte of the body, while small requests go through."""
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
