"""The pantry: items with counts, and the journal of changes."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from app.api.dependencies import KeyHeader, ServiceDep, idempotency_key
from app.api.schemas.base import Error
from app.api.schemas.pantry import Change, Count, ItemCount, ItemRemoved, Items, Journal, JournalEntry
from app.pantry import MAX_NAME, Item, PantryStore, item_name, known_items
from app.pantry import journal as stored

JOURNAL_PAGE = 100  # entries per page by default
CursorQuery = Annotated[str, Query(max_length=100, description="from the response before")]
LimitQuery = Annotated[int, Query(ge=1, le=1000)]
ItemQuery = Annotated[str | None, Query(min_length=1, max_length=MAX_NAME, description="only the changes of this item")]
router = APIRouter(
    prefix="/pantry",
    tags=["pantry"],
    responses={
        404: {"model": Error, "description": "no such item"},
        503: {
            "model": Error,
            "description": "the pantry is unavailable; the message says whether a change may have been stored",
        },
    },
)
journal_router = APIRouter(
    prefix="/journal",
    tags=["pantry"],
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


def _item(item: Item) -> ItemCount:
    return ItemCount(item=item.item, count=item.count)


@router.get("", response_model=Items)
async def items(service: ServiceDep) -> Response:
    """List all items by name."""
    return Response(await service.pantry.read(_serialised), media_type="application/json")


def _serialised(pantry: PantryStore) -> str:
    """Serialise the schema `Items` in the store's thread: tens of thousands of items would block the event loop."""
    found = known_items(pantry).items()
    entries = ",".join(ItemCount(item=item, count=count).model_dump_json() for item, count in found)
    return f'{{"items":[{entries}]}}'


@router.get("/{item}")
async def get(item: str, service: ServiceDep) -> ItemCount:
    """Get one item's count."""
    name = item_name(item)
    return _item(await service.pantry.read(lambda pantry: pantry.get(name)))


@router.put("/{item}")
async def put(item: str, body: Count, service: ServiceDep, key: KeyHeader = None) -> ItemCount:
    """Set an item's count; a new item becomes a label."""
    name = item_name(item)
    once = idempotency_key(key, f"put {name} {body.count}")
    return _item(await service.pantry.change(lambda pantry: pantry.put(name, body.count, once)))


@router.delete("/{item}")
async def delete(item: str, service: ServiceDep, key: KeyHeader = None) -> ItemCount:
    """Delete an item, and its label unless the label file has it."""
    name = item_name(item)
    once = idempotency_key(key, f"delete {name}")
    await service.pantry.change(lambda pantry: pantry.delete(name, once))
    return ItemCount(item=name, count=0)


@router.post("/{item}/add")
async def add(item: str, service: ServiceDep, body: Change | None = None, key: KeyHeader = None) -> ItemCount:
    """Add to an item's count; a missing item starts from 0."""
    name, quantity = item_name(item), (body or Change()).quantity
    once = idempotency_key(key, f"add {name} {quantity}")
    return _item(await service.pantry.change(lambda pantry: pantry.add(name, quantity, once)))


@router.post("/{item}/remove")
async def remove(item: str, service: ServiceDep, body: Change | None = None, key: KeyHeader = None) -> ItemRemoved:
    """Remove from an item's count, which never goes below 0; `removed` says how many were removed."""
    name, quantity = item_name(item), (body or Change()).quantity
    once = idempotency_key(key, f"remove {name} {quantity}")
    after = await service.pantry.change(lambda pantry: pantry.remove(name, quantity, once))
    return ItemRemoved(item=after.item, count=after.count, removed=after.removed)


@journal_router.get("")
async def journal(
    service: ServiceDep, item: ItemQuery = None, cursor: CursorQuery = "", limit: LimitQuery = JOURNAL_PAGE
) -> Journal:
    """List the changes of the pantry's counts, newest first, page by page; they are kept for 90 days."""
    name = None if item is None else item_name(item)
    entries, following = await service.pantry.read(lambda pantry: pantry.journal(cursor, limit, name))
    return Journal(entries=[_entry(each) for each in entries], cursor=following)


@journal_router.post("/{id}/undo", responses=CONFLICT)
async def undo(id: str, service: ServiceDep, key: KeyHeader = None) -> JournalEntry:
    """Undo a change, once: what it added is subtracted, what it removed is added; later changes of the item stay.

    The undo is a change in the journal itself. A deleted item comes back with its count, without its examples.
    """
    once = idempotency_key(key, f"undo {id}")
    return _entry(await service.pantry.change(lambda pantry: pantry.undo(id, once)))


def _entry(entry: stored.JournalEntry) -> JournalEntry:
    facts = asdict(entry) | {"at": datetime.fromtimestamp(entry.at, UTC)}
    return JournalEntry(request_id=facts.pop("request") or None, by=facts.pop("by") or None, **facts)
