"""Change the pantry's counts by what was recognised."""

from collections.abc import Mapping

from app.api.idempotency import idempotency_key
from app.api.process_image.task import Counted, Task
from app.api.recognition_schemas import PantryUpdate
from app.api.schemas import ItemCount
from app.errors import InvalidRequest, NotFound
from app.recognition.labels import Label


async def count(task: Task, recognised: Mapping[Label, int]) -> dict[str, Counted]:
    """Update the pantry for each label as many times as it was recognised; the results by the labels' names.

    Empty when no update was asked for. A label that the pantry cannot have is left out, and the others are counted.
    """
    update = task.body.pantry_update
    if update is None or not recognised:
        return {}
    return await task.service.pantry_threads.change(_count, task, recognised, update)


def _count(task: Task, recognised: Mapping[Label, int], update: PantryUpdate) -> dict[str, Counted]:
    request = task.body.model_dump_json() if task.key else ""  # the request that an idempotency key stands for
    counted = {}
    for label, times in recognised.items():
        try:
            name = label.item_name
        except InvalidRequest as error:
            counted[label.name] = Counted(refused=str(error))
        else:
            counted[label.name] = Counted(_change(task, request, name, times * update.quantity, update))
    return counted


def _change(task: Task, request: str, name: str, quantity: int, update: PantryUpdate) -> ItemCount:
    """Change one item's count; to remove from an item that is not there leaves 0."""
    header = task.key
    if header and (task.body.regions or task.body.tiles):
        header = f"{header} {name}"  # one request, several changes, each of which happens once
    pantry = task.service.pantry
    try:
        after = (pantry.add if update.operation == "add" else pantry.remove)(
            name, quantity, idempotency_key(header, request)
        )
    except NotFound:
        if update.operation == "add":
            raise
        return ItemCount(item=name, count=0)
    return ItemCount(item=after.item, count=after.count)
