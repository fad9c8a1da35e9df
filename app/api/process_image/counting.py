"""The pantry's counts, changed by what was seen."""

from collections.abc import Mapping

from app.api.once import key_of
from app.api.process_image.task import Task
from app.api.recognition_schemas import PantryUpdate
from app.api.schemas import ItemCount
from app.errors import NotFound
from app.pantry import item_name


async def count(task: Task, seen: Mapping[str, int]) -> dict[str, ItemCount]:
    """Carry out the update, for each item as many times as it was seen; none where none was asked for."""
    if task.body.pantry_update is None or not seen:
        return {}
    return await task.service.pantry_threads.change(_count, task, seen, task.body.pantry_update)


def _count(task: Task, seen: Mapping[str, int], update: PantryUpdate) -> dict[str, ItemCount]:
    names = {item: item_name(item) for item in seen}  # all of them, before the first is changed
    return {item: _change(task, names[item], times, update) for item, times in seen.items()}


def _change(task: Task, name: str, times: int, update: PantryUpdate) -> ItemCount:
    """To take from what is not there leaves 0. The request that a key stands for is the whole body."""
    header = task.key
    if header and (task.body.regions or task.body.tiles):
        header = f"{header} {name}"  # one request, several changes, each of which happens once
    key = key_of(header, task.body.model_dump_json()) if header else None
    pantry = task.service.pantry
    try:
        after = (pantry.add if update.operation == "add" else pantry.remove)(name, times * update.quantity, key)
    except NotFound:
        if update.operation == "add":
            raise
        return ItemCount(item=name, count=0)
    return ItemCount(item=after.item, count=after.count)
