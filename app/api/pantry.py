"""The pantry: items with counts."""

from fastapi import APIRouter

from app.api.dependencies import KEYS, ServiceDep
from app.api.schemas import Change, Count, Error, ItemCount, Items
from app.pantry import Item, item_name

router = APIRouter(
    prefix="/pantry",
    tags=["pantry"],
    dependencies=KEYS,
    responses={
        404: {"model": Error, "description": "no such item"},
        503: {"model": Error, "description": "the pantry is away; nothing was stored"},
    },
)


def _wire(item: Item) -> ItemCount:
    return ItemCount(item=item.item, count=item.count)


# Plain functions: the stores block, and the framework runs these in threads.


@router.get("")
def items(service: ServiceDep) -> Items:
    """All items, by name."""
    return Items(items=[ItemCount(item=item, count=count) for item, count in service.pantry.items().items()])


@router.get("/{item}")
def get(item: str, service: ServiceDep) -> ItemCount:
    """One item's count."""
    return _wire(service.pantry.get(item_name(item)))


@router.put("/{item}")
def put(item: str, body: Count, service: ServiceDep) -> ItemCount:
    """Set an item's count; a new item becomes a label."""
    return _wire(service.pantry.put(item_name(item), body.count))


@router.delete("/{item}")
def delete(item: str, service: ServiceDep) -> ItemCount:
    """Take the item out of the pantry, and out of the labels unless the label file has it."""
    name = item_name(item)
    service.pantry.delete(name)
    return ItemCount(item=name, count=0)


@router.post("/{item}/add")
def add(item: str, service: ServiceDep, body: Change | None = None) -> ItemCount:
    """Add to an item's count; an item that is not there starts from 0."""
    return _wire(service.pantry.add(item_name(item), (body or Change()).quantity))


@router.post("/{item}/remove")
def remove(item: str, service: ServiceDep, body: Change | None = None) -> ItemCount:
    """Take from an item's count, down to 0 at most."""
    return _wire(service.pantry.remove(item_name(item), (body or Change()).quantity))
