"""The journal: what changed the pantry's counts, and undoing it."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api.dependencies import KEYS, KeyHeader, ServiceDep, idempotency_key
from app.api.schemas.base import Error
from app.api.schemas.pantry import Journal, JournalEntry
from app.pantry import MAX_NAME, item_name
from app.pantry import journal as stored

PAGE = 100  # entries, where the request does not say how many
CursorQuery = Annotated[str, Query(max_length=100, description="from the response before")]
LimitQuery = Annotated[int, Query(ge=1, le=1000)]
ItemQuery = Annotated[str | None, Query(min_length=1, max_length=MAX_NAME, description="only the changes of this item")]
router = APIRouter(
    prefix="/journal",
    tags=["pantry"],
    dependencies=KEYS,
    responses={
        404: {"model": Error, "description": "no such change, or the service keeps no pantry"},
        503: {
            "model": Error,
            "description": "the pantry is unavailable; the message says whether it may be undone",
        },
    },
)
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": Error, "description": "it was undone before, or the count now does not allow it"}
}


@router.get("")
async def journal(
    service: ServiceDep, item: ItemQuery = None, cursor: CursorQuery = "", limit: LimitQuery = PAGE
) -> Journal:
    """List the changes of the pantry's counts, newest first, page by page; they are kept for 90 days."""
    name = None if item is None else item_name(item)
    entries, following = await service.pantry.read(lambda pantry: pantry.journal(cursor, limit, name))
    return Journal(entries=[_wire(each) for each in entries], cursor=following)


@router.post("/{id}/undo", responses=CONFLICT)
async def undo(id: str, service: ServiceDep, key: KeyHeader = None) -> JournalEntry:
    """Undo a change, once: what it added is taken away, what it took is added; later changes of the item stay.

    The undo is a change in the journal itself. A deleted item comes back with its count, without its examples.
    """
    once = idempotency_key(key, f"undo {id}")
    return _wire(await service.pantry.change(lambda pantry: pantry.undo(id, once)))


def _wire(entry: stored.JournalEntry) -> JournalEntry:
    facts = asdict(entry) | {"at": datetime.fromtimestamp(entry.at, UTC)}
    return JournalEntry(request_id=facts.pop("request") or None, by=facts.pop("by") or None, **facts)
