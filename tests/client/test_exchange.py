"""Both clients against a server that misbehaves: what is sent again, how often, and what comes of it."""

import asyncio
import time

import pytest
from larder_client import (
    AsyncLarder,
    Busy,
    Failed,
    ImageTooLarge,
    InvalidImage,
    InvalidLabels,
    InvalidRequest,
    Larder,
    LarderError,
    NotFound,
    Refused,
    TimedOut,
    Unauthorized,
    Unreachable,
    UnsupportedImage,
)

from tests.client.misbehaving import BUSY, DROP, FOREIGN, HALF, OK, PROXY, SLOW, Misbehaving, problem


def ask(url, **options):
    with Larder(url, **options) as larder:
        return larder.add("banana", 1)


def ask_async(url, **options):
    async def asking():
        async with AsyncLarder(url, **options) as larder:
            return await larder.add("banana", 1)

    return asyncio.run(asking())


BOTH = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])


@BOTH
@pytest.mark.parametrize("bad", [BUSY, DROP, HALF], ids=["503", "dropped", "half an answer"])
def test_it_is_sent_again_with_the_same_key(ask, bad):
    """After 503, a dropped connection or half an answer the same change is sent again, under the key it had."""
    with Misbehaving(bad, bad, OK) as server:
        assert ask(server.url).count == 4
    keys = {request["headers"]["Idempotency-Key"] for request in server.requests}
    assert (len(server.requests), len(keys)) == (3, 1)


@pytest.mark.parametrize(
    ("delete", "answered"),
    [(lambda larder: larder.delete_content("photo"), None), (lambda larder: larder.forget("banana", "id"), 1)],
    ids=["a content", "an example"],
)
def test_what_is_gone_when_its_deletion_is_sent_again_is_deleted(delete, answered):
    """The try whose answer was lost may have deleted it; at the first try, what is not there is an error."""
    missing = problem(404, "not_found")
    with Misbehaving(DROP, missing) as server, Larder(server.url) as larder:
        assert delete(larder) == answered
        assert len(server.requests) == 2
        with pytest.raises(NotFound):
            delete(larder)


@BOTH
def test_a_slow_answer_is_given_up_and_asked_for_again(ask):
    """`timeout` bounds one try; the next may be quicker."""
    with Misbehaving(SLOW, OK) as server:
        assert ask(server.url, timeout=0.3).count == 4
    assert len(server.requests) == 2


@BOTH
@pytest.mark.parametrize(
    ("bad", "error"), [(BUSY, Busy), (DROP, Unreachable), (SLOW, TimedOut)], ids=["503", "dropped", "slow"]
)
def test_it_gives_up_after_the_retries(ask, bad, error):
    """`retries` is the number of further tries, and the last failure is the one that is raised."""
    with Misbehaving(bad) as server, pytest.raises(error):
        ask(server.url, timeout=0.3, retries=2)
    assert len(server.requests) == 3


@BOTH
def test_retry_after_is_honoured(ask):
    """The service is not asked again sooner than it wants to be."""
    with Misbehaving(problem(503, "draining", **{"Retry-After": "1"}), OK) as server:
        start = time.monotonic()
        ask(server.url)
    assert time.monotonic() - start >= 1


@BOTH
def test_a_long_retry_after_is_the_callers_to_wait_for(ask):
    """Who is told to come back in minutes is told so, at once."""
    minutes = problem(503, "store_unavailable", **{"Retry-After": "600"})
    with Misbehaving(minutes) as server, pytest.raises(Busy, match="store_unavailable, said the service") as raised:
        ask(server.url)
    assert (raised.value.retry_after, len(server.requests)) == (600, 1)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (422, "invalid_request", InvalidRequest),
        (422, "invalid_labels", InvalidLabels),
        (400, "invalid_image", InvalidImage),
        (415, "unsupported_image", UnsupportedImage),
        (413, "image_too_large", ImageTooLarge),
        (404, "not_found", NotFound),
        (401, "unauthorized", Unauthorized),
        (418, "of a later version", Refused),
        (500, "internal_error", Failed),
    ],
)
def test_what_will_not_help_is_not_sent_again(status, code, error):
    """Each code of the service has its exception, with the message and the request id of the answer."""
    with Misbehaving(problem(status, code)) as server, pytest.raises(LarderError, match=code) as raised:
        ask(server.url)
    assert type(raised.value) is error
    assert (raised.value.request_id, len(server.requests)) == ("r1", 1)


@pytest.mark.parametrize("strange", [PROXY, FOREIGN], ids=["a proxy's page", "another program's JSON"])
def test_an_answer_that_is_not_larders_is_said_so(strange):
    """A proxy's error page or another program's JSON is no KeyError."""
    with Misbehaving(strange) as server, pytest.raises(Failed, match="not in Larder's form"):
        ask(server.url)


def test_a_page_is_no_thumbnail():
    """Bytes are taken for a picture only where their media type says so."""
    with Misbehaving(FOREIGN) as server, Larder(server.url) as larder, pytest.raises(Failed, match="not in Larder's"):
        larder.thumbnail("photo")


def test_nothing_there_is_unreachable():
    """A port where nobody listens is named in the error."""
    with Misbehaving(OK) as server:
        pass
    with pytest.raises(Unreachable, match=server.url):
        ask(server.url, retries=1)


@pytest.mark.parametrize(
    "url", ["http://[::", "127.0.0.1:8000", "larder.example", "ftp://larder.example", "http://", ""]
)
def test_what_is_no_address_is_said_at_once(url):
    """A wrong URL is one of our errors, which names it, before anything is sent."""
    for client in (Larder, AsyncLarder):
        with pytest.raises(Unreachable, match="is no address") as raised:
            client(url)
        assert str(raised.value).startswith(url)


def test_waiting_grows_between_the_tries():
    """Waits double, with chance in them, and never fall below half of that."""
    with Misbehaving(DROP) as server:
        start = time.monotonic()
        with pytest.raises(Unreachable):
            ask(server.url, retries=3)
    assert time.monotonic() - start >= (0.2 + 0.4 + 0.8) / 2


def test_a_key_travels_as_bearer():
    """`key` is sent with every call."""
    with Misbehaving(OK) as server:
        ask(server.url, key="secret")
    assert server.requests[0]["headers"]["Authorization"] == "Bearer secret"


def test_odd_names_stay_one_part_of_the_path():
    """A slash, a space or a question mark in an item's name is part of the name."""
    with Misbehaving(OK) as server, Larder(server.url) as larder:
        larder.item("half/half? 50 %")
    assert server.requests[0]["path"] == "/pantry/half%2Fhalf%3F%2050%20%25"
