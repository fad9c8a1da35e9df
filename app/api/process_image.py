"""A picture in, a pantry item out."""

import time
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import KEYS, Service, ServiceDep
from app.api.failures import PICTURE
from app.api.once import KeyHeader, key_of
from app.api.schemas import FramesAnswer, ItemCount, PantryUpdate, ProcessImage, ProcessImageAnswer
from app.engines import Floats
from app.errors import NotFound
from app.frames import recognise_frames
from app.pantry import item_name
from app.recognition import Recognition
from app.tracing import span

router = APIRouter(tags=["recognition"], dependencies=KEYS)


@router.post("/process-image", responses=PICTURE)
async def process_image(body: ProcessImage, service: ServiceDep, key: KeyHeader = None) -> ProcessImageAnswer:
    """Recognise a picture among the live labels, and update the pantry when that is asked for and the answer sure.

    `top_k_scores` are renormalised among the best `top_k`, so they look surer than `top_k_probabilities`, which are
    over all labels. `known` says whether the picture shows any of the labels at all.
    """
    _ = service.recogniser.label_set  # while starting, refuse before the picture is decoded
    recognise = partial(_recognise, service, body)
    agreed = None
    if body.images:
        found, agreement = recognise_frames(await service.pipeline.vectors(body.images), recognise)
        agreed = FramesAnswer(used=agreement.used, agreement=agreement.share)
    else:
        found = recognise(await service.pipeline.vector(body.image_data))
    updated = None
    if body.pantry_update and found.sure:
        updated = await run_in_threadpool(_update, service, found.item, body, body.pantry_update, key)
    return ProcessImageAnswer(
        **_seen(found), label_count=found.label_count, model=service.model, pantry=updated, frames=agreed
    )


def _recognise(service: Service, body: ProcessImage, vector: Floats) -> Recognition:
    start = time.perf_counter()
    with span("rank"):
        found = service.recogniser.recognise(vector, top_k=body.top_k, threshold=body.threshold)
    service.metrics.stage("rank", time.perf_counter() - start)
    return found


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


def _update(service: Service, item: str, body: ProcessImage, update: PantryUpdate, header: str | None) -> ItemCount:
    """Carry it out; to take from what is not there leaves 0. The request that a key stands for is the whole body."""
    name, key = item_name(item), key_of(header, body.model_dump_json()) if header else None
    try:
        change = service.pantry.add if update.operation == "add" else service.pantry.remove
        after = change(name, update.quantity, key)
    except NotFound:
        if update.operation == "add":
            raise
        return ItemCount(item=name, count=0)
    return ItemCount(item=after.item, count=after.count)
