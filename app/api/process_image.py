"""A picture in, a pantry item out."""

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import KEYS, Service, ServiceDep
from app.api.failures import PICTURE
from app.api.once import KeyHeader, key_of
from app.api.schemas import ItemCount, PantryUpdate, ProcessImage, ProcessImageAnswer
from app.errors import NotFound
from app.pantry import item_name

router = APIRouter(tags=["recognition"], dependencies=KEYS)


@router.post("/process-image", responses=PICTURE)
async def process_image(body: ProcessImage, service: ServiceDep, key: KeyHeader = None) -> ProcessImageAnswer:
    """Recognise a picture among the live labels, and update the pantry when that is asked for and the answer sure.

    `top_k_scores` are renormalised among the best `top_k`, so they look surer than `top_k_probabilities`, which are
    over all labels. `known` says whether the picture shows any of the labels at all.
    """
    _ = service.recogniser.label_set  # while starting, refuse before the picture is decoded
    vector = await service.pipeline.vector(body.image_data)
    with service.ranking():
        answer = service.recogniser.recognise(vector, top_k=body.top_k, threshold=body.threshold)
    item = answer.labels[0].name
    updated = None
    if body.pantry_update and answer.ranking.confident and answer.known is not False:
        updated = await run_in_threadpool(_update, service, item, body, body.pantry_update, key)
    return ProcessImageAnswer(
        item=item,
        message=1 if answer.ranking.confident else 0,
        similarity_score=answer.ranking.probabilities[0],
        calibrated_probability=answer.ranking.calibrated_probability,
        top_k_items=[label.name for label in answer.labels],
        top_k_scores=answer.ranking.scores,
        confident=answer.ranking.confident,
        known=answer.known,
        top_k_probabilities=answer.ranking.probabilities,
        top_k_cosines=answer.ranking.cosines,
        label_count=answer.label_count,
        model=service.model,
        pantry=updated,
    )


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
