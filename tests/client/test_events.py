"""`events` of both clients: against the real service, and against one that misbehaves."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import aclosing
from itertools import islice
from pathlib import Path

import larder_client
import pytest
from larder_client import AsyncLarder, Failed, InvalidRequest, Larder, Unreachable
from larder_client.command import parser

from harness.server import Server
from tests.bundles import write_bundle
from tests.client.misbehaving import BUSY, DROP, PROXY, Misbehaving, problem
from tests.conftest import wait_until

STREAM = {"Content-Type": "text/event-stream"}


def lines(*numbers, start="a"):
    """Return events with these numbers as bytes of the stream."""
    events = [{"id": f"{start}-{number}", "type": "change", "timestamp": "t", "data": {}} for number in numbers]
    return "".join(f"event: change\ndata: {json.dumps(event)}\nid: {event['id']}\n\n" for event in events)


def step(body, **more):
    return {"status": 200, "body": body, "headers": STREAM, **more}


def follow(url, count, **options):
    with Larder(url, retries=3) as larder:
        return [event.id for event in islice(larder.events(**options), count)]


def follow_async(url, count, **options):
    async def following():
        async with AsyncLarder(url, retries=3) as larder, aclosing(larder.events(**options)) as events:
            return [(await anext(events)).id for _ in range(count)]

    return asyncio.run(following())


BOTH = pytest.mark.parametrize("follow", [follow, follow_async], ids=["sync", "async"])


def last_ids(server):
    return [each["headers"].get("Last-Event-ID") for each in server.requests]


@BOTH
def test_a_lost_connection_goes_on_where_it_was(follow):
    """A partial event is dropped, and sent again on the next connection."""
    whole = lines(1, 2)
    steps = [step(f"id: a-0\n\n{whole}", cut=len(whole) - 20), DROP, BUSY, step(lines(2)), step(lines(3))]
    with Misbehaving(*steps) as server:
        assert follow(server.url, 3) == ["a-1", "a-2", "a-3"]
    assert last_ids(server) == [None, "a-1", "a-1", "a-1", "a-2"]


@BOTH
def test_events_that_were_missed_before_the_first_one_come_too(follow):
    """The stream begins with an id, so a connection lost before its first event misses none."""
    with Misbehaving(step("retry: 2000\nid: a-7\n\n: heartbeat\n\n"), step(lines(8))) as server:
        assert follow(server.url, 1) == ["a-8"]
    assert last_ids(server) == [None, "a-7"]


@BOTH
def test_what_is_no_stream_of_larder_is_said(follow):
    """Another program's page and a malformed event are immediate errors."""
    with Misbehaving({"status": 200, "body": "<html>"}) as server, pytest.raises(Failed, match="is it Larder"):
        follow(server.url, 1)
    with Misbehaving(step("data: {}\n\n")) as server, pytest.raises(Failed, match="not in Larder's form"):
        follow(server.url, 1)
    with Misbehaving(PROXY) as server, pytest.raises(Failed, match="502"):
        follow(server.url, 1)
    with Misbehaving(problem(422, "invalid_request")) as server, pytest.raises(InvalidRequest):
        follow(server.url, 1, kinds="weather")


@BOTH
def test_a_service_that_stays_away_is_an_error(follow):
    """The error comes after the last retry; each event resets the retries."""
    with Misbehaving(step(lines(1)), DROP) as server, pytest.raises(Unreachable):
        follow(server.url, 2)
    assert len(server.requests) == 1 + 3


@BOTH
def test_what_is_asked_for(follow):
    """Kinds are query parameters, and a stream begins after the given event."""
    with Misbehaving(step(lines(5))) as server:
        assert follow(server.url, 1, kinds=["change", "recognition"], last_id="a-4") == ["a-5"]
        assert follow(server.url, 1, kinds="change") == ["a-5"]
    assert [each["path"] for each in server.requests] == ["/events?kind=change&kind=recognition", "/events?kind=change"]
    assert last_ids(server) == ["a-4", None]


@pytest.fixture
def service(tmp_path):
    write_bundle(tmp_path / "tiny")
    (tmp_path / "labels.txt").write_text("red\nblue\n")

    def start(**more):
        files = {"model": tmp_path / "tiny", "labels": tmp_path / "labels.txt", "data": tmp_path / "data", "drain": 0}
        server = Server(**files, **more)
        server.ready()
        return server

    return start


def test_a_restart_of_the_service_is_told(service):
    """The client reconnects, and is notified that it may have missed events."""
    heard = []
    with service() as first:
        url, port = f"http://127.0.0.1:{first.port}", first.port

        def listen():
            with Larder(url, retries=30) as larder:
                for event in larder.events("change"):
                    heard.append(event)
                    if event.data.get("item") == "oats":
                        return

        listening = threading.Thread(target=listen)
        listening.start()
        with Larder(url) as larder:
            wait_until(lambda: "larder_event_listeners 1.0" in larder.metrics())
            larder.add("rice", 2)
            wait_until(lambda: len(heard) == 1)
        first.process.terminate()
        first.end()
    with service(port=port), Larder(url) as larder:
        larder.add("oats")
        listening.join(120)
    assert [event.type for event in heard] in (["change", "reset", "change"], ["change", "reset"] + 2 * ["change"])
    assert (heard[0].data["item"], heard[0].data["before"], heard[0].data["after"]) == ("rice", None, 2)


def test_the_command_takes_any_number_of_kinds():
    """Without kinds, all are selected."""
    assert parser().parse_args(["events"]).kinds == []
    assert parser().parse_args(["events", "change", "recognition"]).kinds == ["change", "recognition"]


def test_the_command_prints_what_happens(service):
    """`larder events` prints a line for each event immediately."""
    with service() as server:
        url = f"http://127.0.0.1:{server.port}"
        folder = Path(larder_client.__file__).parents[1]
        command = [sys.executable, "-m", "larder_client.command", "--url", url, "events", "change"]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            with Larder(url) as larder:
                wait_until(lambda: "larder_event_listeners 1.0" in larder.metrics())
                larder.set_count("rice", 3)
                larder.delete("rice")
            first, second = process.stdout.readline(), process.stdout.readline()
            process.terminate()
    assert first.endswith("  put     rice: - -> 3\n")
    assert second.endswith("  delete  rice: 3 -> -\n")
