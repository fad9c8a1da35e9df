"""`GET /events`: server-sent events, which a client can resume after a disconnect."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, format_sse_event

from app.api.dependencies import ServiceDep
from app.events.hub import Event, Hub, Kind

HEARTBEAT_S = 15.0
LONGEST_S = 600.0  # of one response: the next request checks the key again
RETRY_MS = 2000  # the client's delay before it reconnects
EXAMPLE = (
    'event: change\ndata: {"id": "5f0c1c0e-7", "type": "change", "timestamp": "2026-11-30T18:04:05.123Z", '
    '"data": {"id": "41", "at": "2026-11-30T18:04:05.120Z", "by": "robot", "request_id": "9b2f", "action": "add", '
    '"item": "banana", "before": 2, "after": 3, "undoes": null, "undone_by": null}}\nid: 5f0c1c0e-7\n\n'
)

router = APIRouter(tags=["events"])


async def _listening(service: ServiceDep) -> AsyncIterator[None]:
    with service.events.listening():
        yield


@router.get(
    "/events",
    response_class=StreamingResponse,  # FastAPI would run a handler of EventSourceResponse in its own queues
    dependencies=[Depends(_listening)],
    responses={200: {"description": "a stream", "content": {"text/event-stream": {"example": EXAMPLE}}}},
)
async def events(
    service: ServiceDep,
    kind: Annotated[list[Kind] | None, Query(description="only events of these kinds")] = None,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="the id of the last event that was seen")
    ] = None,
) -> EventSourceResponse:
    """Follow the changes of the pantry and the sure recognitions of this process, as server-sent events.

    With `Last-Event-ID` the events since then come first. If some of them are no longer stored, an event `reset` comes
    before those that are: read the pantry again. Lines that begin with a colon are heartbeats.
    """
    chunks = stream(service.events, last_event_id, kind, lambda: service.draining)
    return EventSourceResponse(chunks, headers={"X-Accel-Buffering": "no"})  # nginx would buffer the events


async def stream(
    hub: Hub,
    last_id: str | None,
    kinds: Collection[Kind] | None,
    ended: Callable[[], bool],
    *,
    heartbeat_s: float = HEARTBEAT_S,
    longest_s: float = LONGEST_S,
) -> AsyncIterator[bytes]:
    """Yield events in wire format until `ended`, or until the client has fallen behind the stored ones."""
    end = asyncio.get_running_loop().time() + longest_s
    seen = hub.latest if last_id is None else hub.number_of(last_id)
    if seen is None or hub.missed(seen):
        missed = None if seen is None else hub.missed(seen)
        seen = hub.latest - len(hub.since(0))
        yield _reset(hub.id_of(seen), missed)
    else:
        yield format_sse_event(retry=RETRY_MS, id=hub.id_of(seen))
    while not ended() and asyncio.get_running_loop().time() < end and not hub.missed(seen):
        events = hub.since(seen)
        seen += len(events)
        if chosen := b"".join(_chosen(events, kinds)):
            yield chosen
        elif not await hub.wait(seen, heartbeat_s):
            yield format_sse_event(comment="heartbeat", id=hub.id_of(seen))  # events of other kinds count as seen


def _chosen(events: Collection[Event], kinds: Collection[Kind] | None) -> Iterator[bytes]:
    for event in events:
        if not kinds or event.kind in kinds:
            yield format_sse_event(data_str=event.json, event=event.kind, id=event.id)


def _reset(id: str, missed: int | None) -> bytes:
    """Report missed events; their number is unknown (None) if the id is from another start."""
    form: dict[str, Any] = {"id": id, "type": "reset", "data": {"missed": missed}}
    return format_sse_event(retry=RETRY_MS, data_str=json.dumps(form), event="reset", id=id)
