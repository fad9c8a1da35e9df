"""A failure of one caller does not affect others: a broken batch, a broken picture among many, over HTTP."""

import json
import threading
from collections import Counter

import httpx2 as httpx
import pytest
import uvicorn

from app.main import create_app
from harness.load import closed_loop, recognise
from harness.server import Server
from tests.bundles import write_bundle
from tests.conftest import wait_until
from tests.fakes import as_base64, as_bytes, colour_model, picture

PLACES = 32


@pytest.fixture
def service(settings, encoder):
    """A service over the colour model behind a real socket; gives its port."""
    few = settings.model_copy(update={"max_queue": PLACES})
    config = uvicorn.Config(create_app(few, colour_model(encoder)), port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    running = threading.Thread(target=server.run)
    running.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    wait_until(lambda: {each.status for each in closed_loop(port, [recognise(as_bytes(picture()))], 1, 1)} == {200})
    yield port
    encoder.open.set()
    server.should_exit = True
    running.join(60)


def test_a_broken_batch_fails_alone(service, encoder):
    """Callers in the broken batch get 500, and the next request is answered."""
    good = recognise(as_bytes(picture()))
    encoder.failure = RuntimeError("the engine broke")
    assert [each.status for each in closed_loop(service, [good], 4, 4)] == [500] * 4
    encoder.failure = None
    assert [each.status for each in closed_loop(service, [good], 4, 8)] == [200] * 8


def test_one_truncated_png_among_32_leaves_31_answers(service, encoder):
    """They are in progress together; the truncated one is 400, each other is answered."""
    whole = as_bytes(picture(size=(64, 64)))
    requests = [recognise(whole)] * 31 + [recognise(whole[: len(whole) // 2])]
    statuses = Counter(each.status for each in closed_loop(service, requests, 32, 32))
    assert statuses == {200: 31, 400: 1}


def test_refusing_is_seen_by_the_connection_that_was_refused_alone(service, encoder):
    """After a body was rejected unread, the connection is still usable."""
    encoder.open.clear()
    large = recognise(as_bytes(picture()) + b"\0" * 100_000)
    answers: list = []
    asking = threading.Thread(target=lambda: answers.extend(closed_loop(service, [large], PLACES, PLACES)))
    asking.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{service}") as client:
        wait_until(lambda: f"larder_pictures_in_hand {PLACES}.0" in client.get("/metrics").text)
    refused = closed_loop(service, [large], 1, 3)  # one connection, three times
    assert {each.status for each in refused} == {503}
    assert all(each.retry_after for each in refused)
    encoder.open.set()
    asking.join()
    assert Counter(each.status for each in answers) == {200: PLACES}


def test_a_process_takes_whatever_is_sent(tmp_path):
    """A real process survives invalid pictures and invalid JSON, alternating with valid ones."""
    write_bundle(tmp_path / "tiny")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    with Server(model=tmp_path / "tiny", labels=tmp_path / "labels.txt", data=tmp_path, log_level="error") as server:
        server.ready()
        for broken in (b"", b"{", b"[" * 100_000, json.dumps({"image_data": as_base64(picture())[:80]}).encode()):
            headers = {"Content-Type": "application/json"}
            assert server.client.post("/process-image", content=broken, headers=headers).status_code in (400, 422)
            good = server.client.post("/process-image", json={"image_data": as_base64(picture("blue"))})
            assert good.json()["item"] == "blue"
