"""The pantry: items with counts."""

from fastapi import APIRouter

from app.api.dependencies import KEYS, ServiceDep
from app.api.once import KeyHeader, key_of
from app.api.schemas import Change, Count, Error, ItemCount, ItemRemoved, Items
from app.errors import StoreUnavailable
from app.pantry import Item, item_name

router = APIRouter(
    prefix="/pantry",
    tags=["pantry"],
    dependencies=KEYS,
    responses={
        404: {"model": Error, "description": "no such item"},
        503: {"model": Error, "description": "the pantry is away; the message says what became of a change"},
    },
)


def _wire(item: Item) -> ItemCount:
    return ItemCount(item=item.item, count=item.count)


# Plain functions: the stores block, and the framework runs these in threads.


@router.get("")
def items(service: ServiceDep) -> Items:
    """All items, by name."""
    found = service.pantry.items()
    if not found and service.pantry.status().status == "stale":
        raise StoreUnavailable("the pantry is away, and no item of it is known")
    return Items(items=[ItemCount(item=item, count=count) for item, count in found.items()])


@router.get("/{item}")
def get(item: str, service: ServiceDep) -> ItemCount:
    """One item's count."""
    return _wire(service.pantry.get(item_name(item)))


@router.put("/{item}")
def put(item: str, body: Count, service: ServiceDep, key: KeyHeader = None) -> ItemCount:
    """Set an item's count; a new item becomes a label."""
    name = item_name(item)
    return _wire(service.pantry.put(name, body.count, key_of(key, f"put {name} {body.count}")))


@router.delete("/{item}")
def delete(item: str, service: ServiceDep, key: KeyHeader = None) -> ItemCount:
    """Take the item out of the pantry, and out of the labels unless the label file has it."""
    name = item_name(item)
    service.pantry.delete(name, key_of(key, f"delete {name}"))
    return ItemCount(item=name, count=0)


@router.post("/{item}/add")
def add(item: str, service: ServiceDep, body: Change | None = None, key: KeyHeader = None) -> ItemCount:
    """Add to an item's count; an item that is not there starts from 0."""
    name, quantity = item_name(item), (body or Change()).quantity
    return _wire(service.pantry.add(name, quantity, key_of(key, f"add {name} {quantity}")))


@router.post("/{item}/remove")
def remove(item: str, service: ServiceDep, body: Change | None = None, key: KeyHeader = None) -> ItemRemoved:
    """Take from an item's count, down to 0 at most; `removed` says how many there were to take."""
    name, quantity = item_name(item), (body or Change()).quantity
    after = service.pantry.remove(name, quantity, key_of(key, f"remove {name} {quantity}"))
    return ItemRemoved(item=after.item, count=after.count, removed=after.removed)
