"""`POST /process-image`: a picture in, a pantry item out."""

from fastapi import APIRouter, Request

from app.api.dependencies import KEYS, ServiceDep
from app.api.failures import PICTURE
from app.api.idempotency import KeyHeader
from app.api.process_image.one_thing import frames, picture
from app.api.process_image.several_things import regions, tiles
from app.api.process_image.task import Task
from app.api.recognition_schemas import ProcessImage, ProcessImageAnswer

router = APIRouter(tags=["recognition"], dependencies=KEYS)


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
    task = Task(service, body, key, request.state.request_id)
    if body.images:
        return await frames(task)
    if body.regions:
        return await regions(task)
    if body.tiles:
        return await tiles(task)
    return await picture(task)
