"""Both clients against a misbehaving server: what is retried, how often, and with which result."""

import asyncio
import base64
import json
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

from tests.client.misbehaving import BUSY, DROP, FOREIGN, GARBLED, HALF, OK, PROXY, SILENT, Misbehaving, problem
from tests.conftest import wait_until
from tests.fakes import as_bytes, picture


def ask(url, timeout=60, **options):
    with Larder(url, timeout=timeout, **options) as larder:
        return larder.add("banana", 1)


def ask_async(url, timeout=60, **options):
    async def asking():
        async with AsyncLarder(url, timeout=timeout, **options) as larder:
            return await larder.add("banana", 1)

    return asyncio.run(asking())


PICTURE = as_bytes(picture("red", (8, 8)))
CLASSIFICATION = {"result": {"red": 0.9, "blue": 0.1}, "categories": None, "cosines": {"red": 0.3, "blue": 0.1}}
CLASSIFIED = {
    "status": 200,
    "body": json.dumps(CLASSIFICATION | {"none_of_these": None, "confident": True, "model": "m"}),
}
NOT_JSON = "the body was not parsed as JSON: send Content-Type: application/json"
JSON_ALONE = problem(422, "invalid_request") | {
    "body": json.dumps(
        {"error": {"code": "invalid_request", "message": NOT_JSON, "request_id": "r"}, "detail": NOT_JSON}
    )
}

BOTH = pytest.mark.parametrize("ask", [ask, ask_async], ids=["sync", "async"])


@BOTH
@pytest.mark.parametrize("bad", [BUSY, DROP, HALF], ids=["503", "dropped", "half an answer"])
def test_it_is_sent_again_with_the_same_key(ask, bad):
    """After 503, a dropped connection or a partial answer the same change is sent again with its key."""
    with Misbehaving(bad, bad, OK) as server:
        assert ask(server.url).count == 4
    keys = {request["headers"]["Idempotency-Key"] for request in server.requests}
    assert (len(server.requests), len(keys)) == (3, 1)


def classify(url, **options):
    with Larder(url, **options) as larder:
        return [larder.classify(PICTURE, ["red", "blue"]) for _ in range(2)]


def classify_async(url, **options):
    async def asking():
        async with AsyncLarder(url, **options) as larder:
            return [await larder.classify(PICTURE, ["red", "blue"]) for _ in range(2)]

    return asyncio.run(asking())


@pytest.mark.parametrize("classify", [classify, classify_async], ids=["sync", "async"])
def test_an_older_service_gets_pictures_in_json(classify):
    """If a service only accepts JSON, the first request is repeated in JSON, and all later ones use it."""
    with Misbehaving(JSON_ALONE, CLASSIFIED) as server:
        assert [each.result["red"] for each in classify(server.url)] == [0.9, 0.9]
    raw, *others = server.requests
    assert (raw["body"], raw["headers"]["Content-Type"]) == (PICTURE, "application/octet-stream")
    assert "labels=%5B%22red%22" in raw["path"]
    for each in others:
        fields = json.loads(each["body"])
        assert (base64.b64decode(fields["image_data"]), fields["labels"]) == (PICTURE, ["red", "blue"])
    assert len(others) == 2


def test_what_does_not_fit_a_query_goes_as_a_form():
    """Ten thousand characters of labels do not fit a query; several pictures are several files."""
    with Misbehaving(CLASSIFIED) as server, Larder(server.url) as larder:
        larder.classify(PICTURE, [f"label {number}" for number in range(1000)])
    [sent] = server.requests
    assert sent["headers"]["Content-Type"].startswith("multipart/form-data")
    assert sent["path"] == "/classify"
    assert PICTURE in sent["body"]


@pytest.mark.parametrize(
    ("delete", "answered"),
    [(lambda larder: larder.delete_content("photo"), None), (lambda larder: larder.forget("banana", "id"), 1)],
    ids=["a content", "an example"],
)
def test_what_is_gone_when_its_deletion_is_sent_again_is_deleted(delete, answered):
    """A missing entry is a success on a retry, whose first try may have deleted it, and an error on the first try."""
    missing = problem(404, "not_found")
    with Misbehaving(DROP, missing) as server, Larder(server.url) as larder:
        assert delete(larder) == answered
        assert len(server.requests) == 2
        with pytest.raises(NotFound):
            delete(larder)


@BOTH
def test_a_slow_answer_is_given_up_and_asked_for_again(ask):
    """`timeout` bounds one try; the next one may be faster."""
    with Misbehaving(SILENT, OK) as server:
        assert ask(server.url, timeout=0.3, retries=20).count == 4  # enough retries for a slow machine
        wait_until(lambda: len(server.requests) >= 2)


@BOTH
@pytest.mark.parametrize(
    ("bad", "error", "timeout"),
    [(BUSY, Busy, 60), (DROP, Unreachable, 60), (SILENT, TimedOut, 0.3)],
    ids=["503", "dropped", "silent"],
)
def test_it_gives_up_after_the_retries(ask, bad, error, timeout):
    """`retries` is the number of further tries, and the last failure is raised."""
    with Misbehaving(bad) as server:
        with pytest.raises(error):
            ask(server.url, timeout=timeout, retries=2)
        wait_until(lambda: len(server.requests) == 3)


@BOTH
def test_retry_after_is_honoured(ask):
    """The client does not retry sooner than the service asks for."""
    with Misbehaving(problem(503, "draining", **{"Retry-After": "1"}), OK) as server:
        start = time.monotonic()
        ask(server.url)
    assert time.monotonic() - start >= 1


@BOTH
def test_a_long_retry_after_is_the_callers_to_wait_for(ask):
    """A Retry-After of minutes is raised immediately."""
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
    """A proxy's error page or another program's JSON does not raise KeyError."""
    with Misbehaving(strange) as server, pytest.raises(Failed, match="not in Larder's form"):
        ask(server.url)


ASKED = {
    "health": lambda larder: larder.health(),
    "labels": lambda larder: larder.labels(),
    "item": lambda larder: larder.item("banana"),
    "recognise": lambda larder: larder.recognise(b"picture"),
    "regions": lambda larder: larder.recognise_regions(b"picture", [(0, 0, 1, 1)]),
    "shelf": lambda larder: larder.recognise_shelf(b"picture"),
    "feedback": lambda larder: larder.feedback("id", "banana"),
    "review": lambda larder: larder.review(),
    "report": lambda larder: larder.examples_report(),
    "label": lambda larder: larder.label("id", "banana"),
    "embed": lambda larder: larder.embed_texts(["banana"]),
    "search": lambda larder: larder.search("banana"),
    "delete": lambda larder: larder.delete("banana"),
}
NO_OBJECTS = [
    *(b"[]", b'["banana"]', b"3", b'"ready"', b"null", b"true", b"", b"<html>"),
    b'{"items": [3], "labels": ["x"], "hits": [null], "data": ["x"], "regions": [[]], "frames": "x", "pantry": "x"}',
    b'{"items": 3, "labels": 3, "hits": 3, "data": 3, "regions": 3, "taught": 3, "frames": 3, "pantry": 3, "item": 3}',
]


@pytest.mark.parametrize("body", NO_OBJECTS)
@pytest.mark.parametrize("asked", ASKED)
def test_a_body_of_another_form_is_said_so(asked, body):
    """A list, number, text or null instead of an object, at any depth, is Failed without a traceback."""
    if asked == "delete" and body.startswith(b"{"):
        pytest.skip("a deletion reads nothing of its answer")
    step = {"status": 200, "body": body.decode()}
    with Misbehaving(step) as server, Larder(server.url) as larder, pytest.raises(Failed, match="not in Larder's form"):
        ASKED[asked](larder)


@BOTH
def test_an_answer_that_cannot_be_decompressed_is_said_so(ask):
    """A wrong Content-Encoding is Failed and not retried, because the answer would be the same."""
    with Misbehaving(GARBLED) as server, pytest.raises(Failed, match="cannot be read"):
        ask(server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda larder: larder.put_text("id", "text", metadata={"price": float("nan")}),
        lambda larder: larder.put_text("id", "text", metadata={"when": object()}),
        lambda larder: larder.embed_texts(["\ud800"]),
        lambda larder: larder.add("\ud800"),
        lambda larder: larder.add("banana", float("inf")),
    ],
)
def test_what_cannot_be_sent_is_said_so(call):
    """A value that is invalid in JSON or a URL is InvalidRequest, and no request is sent."""
    with Misbehaving(OK) as server, Larder(server.url) as larder, pytest.raises(InvalidRequest):
        call(larder)
    assert server.requests == []


def test_a_page_is_no_thumbnail():
    """Bytes are returned as a picture only if the media type is an image."""
    with Misbehaving(FOREIGN) as server, Larder(server.url) as larder, pytest.raises(Failed, match="not in Larder's"):
        larder.thumbnail("photo")


def test_nothing_there_is_unreachable():
    """The error names the port without a listener."""
    with Misbehaving(OK) as server:
        pass
    with pytest.raises(Unreachable, match=server.url):
        ask(server.url, retries=1)


def test_waiting_grows_between_the_tries():
    """Waits double, with jitter, and are at least half of that."""
    with Misbehaving(DROP) as server:
        start = time.monotonic()
        with pytest.raises(Unreachable):
            ask(server.url, retries=3)
    assert time.monotonic() - start >= (0.2 + 0.4 + 0.8) / 2


def test_odd_names_stay_one_part_of_the_path():
    """A slash, a space or a question mark in an item's name is part of the name."""
    with Misbehaving(OK) as server, Larder(server.url) as larder:
        larder.item("half/half? 50 %")
    assert server.requests[0]["path"] == "/pantry/half%2Fhalf%3F%2050%20%25"
