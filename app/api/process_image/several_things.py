"""Several things in one picture; what the whole picture shows stands beside them."""

from collections import Counter
from functools import partial

from app.api.process_image.counting import count
from app.api.process_image.task import Task, seen
from app.api.recognition_schemas import FoundItem, ProcessImageAnswer, RegionAnswer
from app.recognition.regions import grid, non_max_suppression, validate_boxes


async def regions(task: Task) -> ProcessImageAnswer:
    """In boxes that the request names."""
    named = [(left, top, right, bottom) for left, top, right, bottom in task.body.regions]
    boxes, (whole, *parts) = await task.service.pipeline.parts(task.body.image_data, partial(validate_boxes, named))
    answers = [task.recognise(part) for part in parts]
    after = await count(task, Counter(each.item for each in answers if each.sure))
    found = [
        RegionAnswer(**seen(each), box=box, pantry=after.get(each.item) if each.sure else None)
        for box, each in zip(boxes, answers, strict=True)
    ]
    return task.answer(task.recognise(whole), {}, regions=found)


async def tiles(task: Task) -> ProcessImageAnswer:
    """Searched for on a grid over the picture, and merged to a list."""
    boxes, (whole, *parts) = await task.service.pipeline.parts(task.body.image_data, grid)
    things = non_max_suppression(boxes, [task.recognise(part) for part in parts])
    after = await count(task, {each.item: len(each.boxes) for each in things})
    found = [
        FoundItem(
            item=each.item,
            count=len(each.boxes),
            boxes=each.boxes,
            probabilities=each.probabilities,
            pantry=after.get(each.item),
        )
        for each in things
    ]
    return task.answer(task.recognise(whole), {}, items=found)
