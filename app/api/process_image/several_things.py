"""Several things in one picture; what the whole picture shows stands beside them."""

from collections import Counter
from functools import partial

from app.api.process_image.counting import count
from app.api.process_image.task import Task, own_name, pantry_fields, seen
from app.api.recognition_schemas import FoundItem, ProcessImageAnswer, RegionAnswer
from app.recognition.regions import grid, non_max_suppression, validate_boxes


async def regions(task: Task) -> ProcessImageAnswer:
    """In boxes that the request names."""
    named = [(left, top, right, bottom) for left, top, right, bottom in task.body.regions]
    boxes, (whole, *parts) = await task.service.pipeline.crops(task.body.image_data, partial(validate_boxes, named))
    answers = await task.recognise_all(parts)
    counted = await count(task, Counter(each.label for each in answers if each.sure))
    found = [
        RegionAnswer(**seen(each), **pantry_fields(counted.get(each.item) if each.sure else None), box=box)
        for box, each in zip(boxes, answers, strict=True)
    ]
    return task.answer(task.recognise(whole), {}, regions=found)


async def tiles(task: Task) -> ProcessImageAnswer:
    """Searched for on a grid over the picture, and merged to a list."""
    boxes, (whole, *parts) = await task.service.pipeline.crops(task.body.image_data, grid)
    recognitions = await task.recognise_all(parts)
    labels = {each.item: each.label for each in recognitions}
    things = non_max_suppression(boxes, recognitions)
    counted = await count(task, {labels[each.item]: len(each.boxes) for each in things})
    found = [
        FoundItem(
            item=each.item,
            count=len(each.boxes),
            boxes=each.boxes,
            probabilities=each.probabilities,
            pantry_item=own_name(labels[each.item]),
            **pantry_fields(counted.get(each.item)),
        )
        for each in things
    ]
    return task.answer(task.recognise(whole), {}, items=found)
