"""One Listen call: Firestore's messages, and the resulting snapshots."""

import queue
import time

import pytest
from google.cloud.firestore_v1 import types

from app.pantry.firestore.items import Items
from app.pantry.firestore.stream import Position, Stream, StreamError

PREFIX = "projects/p/databases/(default)/documents/pantry/"


class Call:
    """A fake of gRPC's call: returns the messages set by the test, and records the requests."""

    def __init__(self):
        self.said = queue.Queue()
        self.asked = None

    def listen(self, requests, metadata):
        self.asked = requests
        return self

    def __iter__(self):
        return iter(self.said.get, None)

    def cancel(self):
        self.said.put(None)


class Connection:
    """A fake Connection with one call."""

    database = "projects/p/databases/(default)"
    metadata = ()

    def __init__(self):
        self.call = Call()
        self.api = self
        self.transport = self.call

    def document(self, collection, document_id):
        return f"{self.database}/documents/{collection}/{document_id}"


@pytest.fixture
def memory():
    return Items(lambda document_id, odd: None)


def target(kind, ids=(1,), **more):
    return types.ListenResponse(target_change={"target_change_type": kind, "target_ids": ids, **more})


def complete(second, token=b"t"):
    return target("NO_CHANGE", (), read_time={"seconds": second}, resume_token=token)


def changed(document_id, count, second, **more):
    document = {"name": PREFIX + document_id, "fields": {"count": {"integer_value": count}}}
    document["update_time"] = {"seconds": second}
    return types.ListenResponse(document_change={"document": document, "target_ids": [1], **more})


def deleted(document_id):
    return types.ListenResponse(document_delete={"document": PREFIX + document_id})


def heard(memory, position, *messages):
    """Let a stream read these messages to the end; returns the number of snapshots."""
    connection = Connection()
    for message in [*messages, None]:
        connection.call.said.put(message)
    return len(list(Stream(connection, "pantry", memory, position).snapshots()))


START = [target("ADD"), changed("rice", 3, 1), changed("apple", 1, 1), target("CURRENT"), complete(2)]


def test_documents_count_when_the_snapshot_is_complete(memory):
    """Documents are served only once Firestore has sent them all, so never half a collection."""
    assert heard(memory, Position(), *START[:-1]) == 0
    assert memory.items() == {}
    position = Position()
    assert heard(memory, position, *START) == 1
    assert memory.items() == {"apple": 1, "rice": 3}
    assert position == Position(b"t", {"rice", "apple"})


def test_a_stream_goes_on_where_the_last_one_was(memory):
    """With the token, Firestore sends what has changed; what it does not mention stays."""
    position = Position()
    heard(memory, position, *START)
    resumed = [target("ADD"), deleted("apple"), changed("salt", 1, 3), target("CURRENT"), complete(4, b"u")]
    assert heard(memory, position, *resumed) == 1
    assert memory.items() == {"rice": 3, "salt": 1}
    assert position == Position(b"u", {"rice", "salt"})


def test_a_reset_begins_anew_and_shows_nothing_half(memory):
    """After a reset the old documents are served until the new ones are complete."""
    position = Position()
    heard(memory, position, *START, target("RESET"), changed("salt", 1, 3))
    assert memory.items() == {"apple": 1, "rice": 3}
    heard(memory, position, *START, target("RESET"), changed("salt", 1, 3), target("CURRENT"), complete(4))
    assert memory.items() == {"salt": 1}


def test_deletions_that_escaped_are_noticed(memory):
    """When Firestore counts other documents than we have, the stream ends and the next one begins from the start."""
    position = Position()
    heard(memory, position, *START)
    right = types.ListenResponse(filter={"target_id": 1, "count": 3})
    assert heard(memory, position, target("ADD"), changed("salt", 1, 3), right, target("CURRENT"), complete(4)) == 1
    wrong = types.ListenResponse(filter={"target_id": 1, "count": 2})
    with pytest.raises(StreamError, match="counts 2 documents, not 3"):
        heard(memory, position, target("ADD"), wrong)
    assert position.token == b""


def test_a_target_that_firestore_ends_is_an_error(memory):
    """Firestore may end our part of the stream and leave the stream open: that must not look like silence."""
    position = Position(b"t", {"rice"})
    with pytest.raises(StreamError, match="^PERMISSION_DENIED: not yours"):
        heard(memory, position, target("REMOVE", cause={"code": 7, "message": "\nnot yours"}))
    assert position.token == b""


def test_heartbeats_change_nothing(memory):
    """Answers to them count as snapshots; their document is not an item, whether or not it exists."""
    position = Position()
    name = "projects/p/databases/(default)/documents/pantry_keys/heartbeat"
    gone = types.ListenResponse(document_delete={"document": name, "removed_target_ids": [2]})
    there = types.ListenResponse(document_change={"document": {"name": name}, "target_ids": [2]})
    answers = [target("ADD", (2,)), there, gone, target("CURRENT", (2,)), complete(5, b"u"), target("REMOVE", (2,))]
    assert heard(memory, position, *START, *answers) == 2
    assert position.ids == {"apple", "rice"}
    assert memory.items() == {"apple": 1, "rice": 3}


def test_heartbeats_are_sent_and_their_silence_is_noticed(memory):
    """The stream is asked from time to time whether it works, and one that does not answer is given up."""
    connection = Connection()
    stream = Stream(connection, "pantry", memory, Position(b"t", set()), heartbeat_s=0.05, silence_s=0.05)
    snapshots = stream.snapshots()
    for message in START:
        connection.call.said.put(message)
    assert next(snapshots) <= time.monotonic()
    first, heartbeat = next(connection.call.asked), next(connection.call.asked)
    assert (first.add_target.target_id, first.add_target.resume_token) == (1, b"t")
    assert heartbeat.add_target.target_id == 2
    connection.call.said.put(complete(6))
    next(snapshots)
    assert next(connection.call.asked).remove_target == 2
    assert next(connection.call.asked).add_target.target_id == 3
    assert list(connection.call.asked) == []
    with pytest.raises(StreamError, match="^SILENCE: "):
        next(snapshots)


def test_a_closed_stream_asks_nothing_more(memory):
    """Cancelling the stream suppresses its errors."""
    connection = Connection()
    stream = Stream(connection, "pantry", memory, Position())
    for message in START:
        connection.call.said.put(message)
    for _ in stream.snapshots():
        stream.cancel()
    next(connection.call.asked)
    assert list(connection.call.asked) == []
