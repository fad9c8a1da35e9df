"""The pantry: items with counts."""

from fastapi import APIRouter
from fastapi.responses import Response

from app.api.dependencies import KEYS, KeyHeader, ServiceDep, idempotency_key
from app.api.schemas.base import Error
from app.api.schemas.pantry import Change, Count, ItemCount, ItemRemoved, Items
from app.pantry import Item, PantryStore, item_name, known_items

router = APIRouter(
    prefix="/pantry",
    tags=["pantry"],
    dependencies=KEYS,
    responses={
        404: {"model": Error, "description": "no such item"},
        503: {
            "model": Error,
            "description": "the pantry is unavailable; the message says whether a change may have been stored",
        },
    },
)


def _wire(item: Item) -> ItemCount:
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
    return _wire(await service.pantry.read(lambda pantry: pantry.get(name)))


@router.put("/{item}")
async def put(item: str, body: Count, service: ServiceDep, key: KeyHeader = None) -> ItemCount:
    """Set an item's count; a new item becomes a label."""
    name = item_name(item)
    once = idempotency_key(key, f"put {name} {body.count}")
    return _wire(await service.pantry.change(lambda pantry: pantry.put(name, body.count, once)))


@router.delete("/{item}")
async def delete(item: str, service: ServiceDep, key: KeyHeader = None) -> ItemCount:
    """Delete an item, and its label unless the label file has it."""
    name = item_name(item)
    once = idempotency_key(key, f"delete {name}")
    await service.pantry.change(lambda pantry: pantry.delete(name, once))
    return ItemCount(item=name, count=0)


@router.post("/{item}/add")
async def add(item: str, service: ServiceDep, body: Change | None = None, key: KeyHeader = None) -> ItemCount:
    """Add to an item's count; an item that is not there starts from 0."""
    name, quantity = item_name(item), (body or Change()).quantity
    once = idempotency_key(key, f"add {name} {quantity}")
    return _wire(await service.pantry.change(lambda pantry: pantry.add(name, quantity, once)))


@router.post("/{item}/remove")
async def remove(item: str, service: ServiceDep, body: Change | None = None, key: KeyHeader = None) -> ItemRemoved:
    """Remove from an item's count, which never goes below 0; `removed` says how many were removed."""
    name, quantity = item_name(item), (body or Change()).quantity
    once = idempotency_key(key, f"remove {name} {quantity}")
    after = await service.pantry.change(lambda pantry: pantry.remove(name, quantity, once))
    return ItemRemoved(item=after.item, count=after.count, removed=after.removed)
