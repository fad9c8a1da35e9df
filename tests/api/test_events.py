"""`GET /events`: followed, dropped and resumed over HTTP."""

import asyncio
import json
import socket
from contextlib import contextmanager

import pytest

from app.api.events import stream
from app.events.hub import Hub
from harness.server import Server
from tests.api.test_process_image import problem
from tests.bundles import write_bundle
from tests.conftest import wait_until
from tests.fakes import as_base64, picture


class Listener:
    """One connection to the stream; `next` returns the next event, skipping heartbeats and empty ones."""

    def __init__(self, server, last_id=None, **params):
        headers = {"Last-Event-ID": last_id} if last_id is not None else {}
        self.context = server.client.stream("GET", "/events", params=params, headers=headers, timeout=120)
        self.response = self.context.__enter__()
        assert self.response.status_code == 200, self.response.read()
        self.lines = self.response.iter_lines()
        self.id = self.block()["id"] if last_id is None else last_id  # the answer has begun: nothing is missed now

    def block(self):
        fields = {}
        for line in self.lines:
            if not line:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        raise EOFError

    def next(self):
        while "data" not in (fields := self.block()):
            pass
        self.id = fields["id"]
        return json.loads(fields["data"])

    def close(self):
        self.context.__exit__(None, None, None)


@contextmanager
def started(folder):
    write_bundle(folder / "tiny")
    (folder / "labels.txt").write_text("red\nblue\n")
    settings = {"model": folder / "tiny", "labels": folder / "labels.txt", "data": folder / "data", "drain": 0}
    with Server(**settings) as server:
        server.ready()
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with started(tmp_path_factory.mktemp("events")) as server:
        yield server


@pytest.fixture
def server(shared):
    """A service without listeners; events of earlier tests are kept."""
    wait_until(lambda: "larder_event_listeners 0.0" in shared.client.get("/metrics").text)
    return shared


def recognise(server, **more):
    return server.client.post("/process-image", json={"image_data": as_base64(picture("red")), **more}).json()


def test_a_sure_recognition_is_an_event(server):
    """Listeners get it with the id of its request; an unsure recognition is not an event."""
    listener = Listener(server)
    recognise(server, threshold=1.0)
    answer = server.client.post(
        "/process-image", json={"image_data": as_base64(picture("red"))}, headers={"X-Request-ID": "r-1"}
    )
    event = listener.next()
    assert answer.json()["confident"]
    assert event["type"] == "recognition"
    assert event["data"]["request_id"] == "r-1"
    assert (event["data"]["item"], event["data"]["count"]) == ("red", 1)
    assert event["data"]["similarity_score"] == answer.json()["similarity_score"]
    listener.close()


def test_a_client_that_was_away_reads_what_it_has_missed(server):
    """With the last event's id it gets the missed events, each once and in order."""
    listener = Listener(server)
    recognise(server)
    first = listener.next()
    number = int(first["id"].partition("-")[2])
    listener.close()
    for _ in range(3):
        recognise(server)
    listener = Listener(server, last_id=first["id"])
    numbers = [int(listener.next()["id"].partition("-")[2]) for _ in range(3)]
    assert numbers == [number + 1, number + 2, number + 3]
    listener.close()


def test_a_client_of_another_start_is_told(server):
    """For an id from another start, the stream sends `reset`, then the stored events."""
    recognise(server)
    listener = Listener(server, last_id="0123abcd-7", kind="recognition")
    assert listener.next()["type"] == "reset"
    assert listener.next()["type"] == "recognition"
    listener.close()


def test_each_change_is_an_event(server):
    """An event has the counts before and after, the request id, and the id of the journal entry."""
    listener = Listener(server)
    server.client.post("/pantry/rice/add", json={"quantity": 2}, headers={"X-Request-ID": "r-2"})
    server.client.post("/pantry/rice/remove", json={"quantity": 5})
    server.client.post("/pantry/rice/remove", json={"quantity": 5})  # changes nothing
    server.client.delete("/pantry/rice")
    changes = [listener.next()["data"] for _ in range(3)]
    listener.close()
    assert [(each["action"], each["item"], each["before"], each["after"]) for each in changes] == [
        ("add", "rice", None, 2),
        ("remove", "rice", 2, 0),
        ("delete", "rice", 0, None),
    ]
    entries = server.client.get("/journal?item=rice").json()["entries"]
    assert [each | {"at": ""} for each in changes] == [each | {"at": ""} for each in reversed(entries)]
    assert changes[0]["request_id"] == "r-2"


def test_a_kind_alone(server):
    """Events of other kinds are left out, and an unknown kind is refused."""
    listener = Listener(server, kind="change")
    recognise(server, pantry_update={"operation": "add"})
    assert listener.next()["type"] == "change"
    listener.close()
    problem(server.client.get("/events?kind=weather"), 422, "invalid_request")


def test_streams_outlive_the_deadline_of_requests(server):
    """A listener is not cut off by the deadline that other calls have."""
    with server.client.stream("GET", "/events", headers={"X-Request-Timeout": "0.05"}) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("id") or next(lines)
        for _ in range(20):
            recognise(server)
        assert sum(line.startswith("data") for line, _ in zip(lines, range(60), strict=False)) > 10


def test_listeners_are_bounded_and_make_room_when_they_leave(server):
    """One listener too many gets 503; a disconnect frees a slot."""
    listeners = [Listener(server) for _ in range(32)]
    problem(server.client.get("/events"), 503, "overloaded")
    listeners.pop().close()
    wait_until(lambda: "larder_event_listeners 31.0" in server.client.get("/metrics").text)
    listeners.append(Listener(server))
    for listener in listeners:
        listener.close()


def test_listeners_do_not_delay_the_end(tmp_path):
    """SIGTERM ends every stream, also that of a client that never reads."""
    with started(tmp_path) as server:
        listener = Listener(server)
        deaf = socket.create_connection(("127.0.0.1", server.port))
        deaf.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        wait_until(lambda: "larder_event_listeners 2.0" in server.client.get("/metrics").text)
        server.process.terminate()
        with pytest.raises(EOFError):
            listener.next()
        server.end()
        deaf.close()
        assert server.process.returncode == 0


def test_a_key_is_asked_for(start):
    """If keys are set, the stream needs one."""
    problem(start(api_keys="k").get("/events"), 401, "unauthorized")


def collect(hub, last_id=None, kinds=None, count=1, **options):
    """Return the first chunks of a stream."""

    async def collect():
        chunks = []
        async for chunk in stream(hub, last_id, kinds, lambda: False, **options):
            chunks.append(chunk.decode())
            if len(chunks) == count:
                break
        return chunks

    return asyncio.run(collect())


def test_what_is_not_kept_any_more_is_counted():
    """The client learns how many it has missed, and a heartbeat carries the id of events of other kinds."""
    hub = Hub(kept=2)
    for number in range(5):
        hub.publish("change", {"after": number})
    reset, rest = collect(hub, last_id=hub.id_of(1), count=2)
    assert '"data": {"missed": 2}' in reset
    assert rest.count("event: change") == 2
    _, heartbeat = collect(hub, hub.id_of(3), ["recognition"], count=2, heartbeat_s=0.001)
    assert heartbeat == f": heartbeat\nid: {hub.id_of(5)}\n\n"


def test_one_that_falls_behind_is_let_go():
    """The stream of a listener that is slower than the events ends, and it can resume."""

    async def listen():
        hub = Hub(kept=2)
        chunks = stream(hub, None, None, lambda: False)
        await anext(chunks)
        for _ in range(5):
            hub.publish("change", {})
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)

    asyncio.run(listen())


def test_a_stream_ends_after_a_while():
    """The next connection is authorised again, so that a withdrawn key stops working."""
    assert len(collect(Hub(), count=5, heartbeat_s=0.001, longest_s=0.0)) == 1
