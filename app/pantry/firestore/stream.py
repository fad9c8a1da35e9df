"""One Listen call of Firestore: a collection's changes, and heartbeats on the same stream that prove it alive."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.cloud.firestore_v1 import types

from app.pantry.firestore.connection import Connection
from app.pantry.firestore.document_cache import CachedDocument, DocumentCache

HEARTBEAT = 10.0  # seconds between heartbeats on the stream
SILENCE = 5.0  # seconds without an answer to a heartbeat before the stream is closed
_ITEMS = 1  # the stream's target for the collection; heartbeats are further targets: 2, 3 and so on
_Kind = types.TargetChange.TargetChangeType
_STATUS = {status.value[0]: status.name for status in grpc.StatusCode}


class StreamError(Exception):
    """Firestore is silent, has removed our target, or counts other documents than we do.

    The message begins with a status name, like gRPC's.
    """


@dataclass
class Position:
    """The position in the stream of a collection: Firestore's resume token, and the ids of its documents."""

    token: bytes = b""
    ids: set[str] = field(default_factory=set)


class Stream:
    """One Listen call, which resumes at `position` and advances it; closed if no heartbeat is answered in time."""

    def __init__(
        self,
        connection: Connection,
        collection: str,
        memory: DocumentCache[Any],
        position: Position,
        *,
        heartbeat_s: float | None = None,
        silence_s: float | None = None,
    ) -> None:
        self._heartbeat_s = HEARTBEAT if heartbeat_s is None else heartbeat_s
        self._silence_s = SILENCE if silence_s is None else silence_s
        self._connection = connection
        self._prefix = connection.document(collection, "")
        self._collection = collection
        self._memory = memory
        self._position = position
        self._changes: dict[str, CachedDocument | None] = {}  # since the last snapshot; None: deleted
        self._whole = not position.token
        self._current = False
        self._silent = False
        self._ended = threading.Event()
        self._last_message_at = time.monotonic()
        self._call: Any = None

    def snapshots(self) -> Iterator[float]:
        """Update the cache; yield the time (monotonic) whenever it is complete.

        Ends when Firestore ends the call; raises grpc.RpcError or StreamError.
        """
        self._call = self._connection.api.transport.listen(self._requests(), metadata=self._connection.metadata)
        try:
            for response in self._call:
                self._last_message_at = time.monotonic()
                message = types.ListenResponse.pb(response)
                kind = message.WhichOneof("response_type")
                if kind == "document_change":
                    self._changed(message.document_change)
                elif kind in ("document_delete", "document_remove"):
                    self._gone(getattr(message, kind).document)
                elif kind == "filter":
                    self._check(message.filter)
                elif self._target(message.target_change):
                    yield self._last_message_at
        except grpc.RpcError:
            if not self._silent:
                raise
        finally:
            self.cancel()
        if self._silent:
            raise StreamError(f"SILENCE: a heartbeat was not answered within {self._silence_s:.0f} s")

    def cancel(self) -> None:
        """Cancel the call."""
        self._ended.set()
        if self._call:
            self._call.cancel()

    def _requests(self) -> Iterator[types.ListenRequest]:
        """Yield the requests of the stream: the collection first, then heartbeats. gRPC reads them in a thread."""
        parent, source = f"{self._connection.database}/documents", [{"collection_id": self._collection}]
        query = {"parent": parent, "structured_query": {"from_": source}}
        yield self._request(add_target={"query": query, "target_id": _ITEMS, "resume_token": self._position.token})
        heartbeat = {"documents": [self._connection.document(f"{self._collection}_keys", "heartbeat")]}  # never exists
        number = _ITEMS
        while not self._ended.wait(self._heartbeat_s):
            if number > _ITEMS:
                yield self._request(remove_target=number)
            number += 1
            asked_at = time.monotonic()
            yield self._request(add_target={"documents": heartbeat, "target_id": number})
            if not self._ended.wait(self._silence_s) and self._last_message_at < asked_at:
                self._silent = True
                self.cancel()

    def _request(self, **what: Any) -> types.ListenRequest:
        return types.ListenRequest(database=self._connection.database, **what)

    def _changed(self, change: Any) -> None:
        """Handle a new, changed or repeated document; a heartbeat's is ignored."""
        document = change.document
        if _ITEMS not in change.target_ids:
            return
        document_id = document.name.removeprefix(self._prefix)
        known = self._memory.known(document_id)
        if known and known.version == (document.update_time.seconds, document.update_time.nanos):
            self._changes[document_id] = known
        else:
            self._changes[document_id] = self._memory.read(document_id, document)

    def _gone(self, name: str) -> None:
        """Handle a deleted document, or one that left the collection; a heartbeat's is ignored."""
        if name.startswith(self._prefix):
            self._changes[name.removeprefix(self._prefix)] = None

    def _check(self, existence: Any) -> None:
        """Compare the number of documents with Firestore's; raises StreamError if we have missed deletions."""
        if existence.target_id == _ITEMS and existence.count != len(self._ids()):
            self._position.token = b""
            raise StreamError(f"MISMATCH: Firestore counts {existence.count} documents, not {len(self._ids())}")

    def _ids(self) -> set[str]:
        """Return the ids of all documents, including changes since the last snapshot."""
        ids = set() if self._whole else set(self._position.ids)
        for document_id, entry in self._changes.items():
            (ids.add if entry else ids.discard)(document_id)
        return ids

    def _target(self, change: Any) -> bool:
        """Handle a change of a target, or of all if it names none; return whether a snapshot is complete."""
        kind, ours = change.target_change_type, not change.target_ids or _ITEMS in change.target_ids
        if kind == _Kind.REMOVE and ours:
            self._position.token = b""
            raise StreamError(f"{_STATUS.get(change.cause.code, 'UNKNOWN')}: {' '.join(change.cause.message.split())}")
        if kind == _Kind.RESET and ours:
            self._changes, self._whole, self._current = {}, True, False
        elif kind == _Kind.CURRENT and ours:
            self._current = True
        elif kind == _Kind.NO_CHANGE and not change.target_ids and change.HasField("read_time") and self._current:
            at = (change.read_time.seconds, change.read_time.nanos)
            if self._whole or self._changes:
                self._position.ids = self._ids()
                self._memory.apply_snapshot(self._changes, at, self._whole)
            self._position.token = change.resume_token
            self._changes, self._whole = {}, False
            return True
        return False
