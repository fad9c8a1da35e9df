"""A picture in, a pantry item out; or several frames of one thing in, or several things in one picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import KEYS, Service, ServiceDep
from app.api.failures import PICTURE
from app.api.once import KeyHeader, key_of
from app.api.recognition_schemas import (
    FoundItem,
    FramesAnswer,
    PantryUpdate,
    ProcessImage,
    ProcessImageAnswer,
    RegionAnswer,
)
from app.api.schemas import ItemCount
from app.engines import Floats
from app.errors import NotFound
from app.feedback import Answer
from app.frames import recognise_frames
from app.pantry import item_name
from app.recognition import Recognition
from app.regions import checked, grid, listed

router = APIRouter(tags=["recognition"], dependencies=KEYS)


@dataclass(frozen=True)
class _Task:
    """A request, and what it is worked on with."""

    service: Service
    body: ProcessImage
    header: str | None
    request_id: str

    def recognise(self, vector: Floats) -> Recognition:
        """The answer for a picture's vector (D,)."""
        with self.service.ranking():
            return self.service.recogniser.recognise(vector, top_k=self.body.top_k, threshold=self.body.threshold)

    def remember(self, found: Recognition, vectors: Sequence[Floats], pictures: Sequence[str]) -> None:
        """Keep in mind what was answered, for feedback; what was shown too, where pictures are kept."""
        kept = pictures if self.service.keep_pictures else ()
        self.service.answers.remember(self.request_id, Answer(found.item, vectors, kept))

    async def count(self, seen: Mapping[str, int]) -> dict[str, ItemCount]:
        """Carry out the update, for each item as many times as it was seen; none where none was asked for."""
        if self.body.pantry_update is None or not seen:
            return {}
        return await run_in_threadpool(self._count, seen, self.body.pantry_update)

    def answer(self, found: Recognition, after: Mapping[str, ItemCount], **more: Any) -> ProcessImageAnswer:
        """A recognition on the wire, with the item's count after the update."""
        facts: dict[str, Any] = {
            "label_count": found.label_count,
            "model": self.service.model,
            "pantry": after.get(found.item),
        }
        return ProcessImageAnswer(**_seen(found), **facts, **more)

    def _count(self, seen: Mapping[str, int], update: PantryUpdate) -> dict[str, ItemCount]:
        return {item: self._change(item, times, update) for item, times in seen.items()}

    def _change(self, item: str, times: int, update: PantryUpdate) -> ItemCount:
        """To take from what is not there leaves 0. The request that a key stands for is the whole body."""
        name, header = item_name(item), self.header
        if header and (self.body.regions or self.body.tiles):
            header = f"{header} {name}"  # one request, several changes, each of which happens once
        key = key_of(header, self.body.model_dump_json()) if header else None
        try:
            change = self.service.pantry.add if update.operation == "add" else self.service.pantry.remove
            after = change(name, times * update.quantity, key)
        except NotFound:
            if update.operation == "add":
                raise
            return ItemCount(item=name, count=0)
        return ItemCount(item=after.item, count=after.count)


@router.post("/process-image", responses=PICTURE)
async def process_image(
    request: Request, body: ProcessImage, service: ServiceDep, key: KeyHeader = None
) -> ProcessImageAnswer:
    """Recognise a picture among the live labels, and update the pantry when that is asked for and the answer sure.

    `top_k_scores` are renormalised among the best `top_k`, so they look surer than `top_k_probabilities`, which are
    over all labels. `known` says whether the picture shows any of the labels at all.

    Several frames of one thing come as `images` and are answered together. Several things in one picture are answered
    box by box with `regions`, or searched for with `tiles`.
    """
    _ = service.recogniser.label_set  # while starting, refuse before the picture is decoded
    task = _Task(service, body, key, request.state.request_id)
    if body.images:
        return await _frames(task)
    if body.regions or body.tiles:
        return await (_tiles(task) if body.tiles else _regions(task))
    vector = await service.pipeline.vector(body.image_data)
    found = task.recognise(vector)
    task.remember(found, [vector], [body.image_data])
    return task.answer(found, await task.count({found.item: 1} if found.sure else {}))


async def _frames(task: _Task) -> ProcessImageAnswer:
    """Frames of one thing."""
    vectors = await task.service.pipeline.vectors(task.body.images)
    found, agreement = recognise_frames(vectors, task.recognise)
    task.remember(found, list(compress(vectors, agreement.used)), list(compress(task.body.images, agreement.used)))
    frames = FramesAnswer(used=agreement.used, agreement=agreement.share)
    return task.answer(found, await task.count({found.item: 1} if found.sure else {}), frames=frames)


async def _regions(task: _Task) -> ProcessImageAnswer:
    """Boxes that the request names."""
    named = [(left, top, right, bottom) for left, top, right, bottom in task.body.regions]
    boxes, (whole, *parts) = await task.service.pipeline.parts(task.body.image_data, partial(checked, named))
    answers = [task.recognise(part) for part in parts]
    after = await task.count(Counter(each.item for each in answers if each.sure))
    regions = [
        RegionAnswer(**_seen(each), box=box, pantry=after.get(each.item) if each.sure else None)
        for box, each in zip(boxes, answers, strict=True)
    ]
    return task.answer(task.recognise(whole), {}, regions=regions)


async def _tiles(task: _Task) -> ProcessImageAnswer:
    """A grid over the picture, its answers merged to a list."""
    boxes, (whole, *parts) = await task.service.pipeline.parts(task.body.image_data, grid)
    things = listed(boxes, [task.recognise(part) for part in parts])
    after = await task.count({each.item: len(each.boxes) for each in things})
    items = [
        FoundItem(
            item=each.item,
            count=len(each.boxes),
            boxes=each.boxes,
            probabilities=each.probabilities,
            pantry=after.get(each.item),
        )
        for each in things
    ]
    return task.answer(task.recognise(whole), {}, items=items)


def _seen(found: Recognition) -> dict[str, Any]:
    """A recognition in the words of the wire."""
    ranking = found.ranking
    return {
        "item": found.item,
        "message": 1 if ranking.confident else 0,
        "similarity_score": ranking.probabilities[0],
        "calibrated_probability": ranking.calibrated_probability,
        "top_k_items": [label.name for label in found.labels],
        "top_k_scores": ranking.scores,
        "confident": ranking.confident,
        "known": found.known,
        "top_k_probabilities": ranking.probabilities,
        "top_k_cosines": ranking.cosines,
    }
