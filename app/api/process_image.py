"""`POST /process-image`: one thing in a picture or in several frames, or several things in a picture."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import compress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import KEYS, ServiceDep
from app.api.failures import PICTURE
from app.api.idempotency import KeyHeader
from app.api.media_types import PictureRoute
from app.api.recognition_request import RecognitionRequest, item_name_beside, pantry_fields, response_fields
from app.api.schemas.recognition import FoundItem, FramesAnswer, ProcessImage, ProcessImageAnswer, RegionAnswer
from app.model.engines import Floats
from app.recognition.frames import recognise_frames
from app.recognition.regions import grid, non_max_suppression, validate_boxes
from app.recognition.zero_shot import Recognition
from app.serving.feedback import Answer

router = APIRouter(route_class=PictureRoute, tags=["recognition"], dependencies=KEYS)


@router.post("/process-image", responses=PICTURE)
async def process_image(
    request: Request, body: ProcessImage, service: ServiceDep, key: KeyHeader = None
) -> ProcessImageAnswer:
    """Recognise an image among the live labels; on request, update the pantry when the answer is confident.

    `top_k_scores` are renormalised among the best `top_k`, so they look surer than `top_k_probabilities`, which are
    over all labels. `known` says whether the picture shows any of the labels at all.

    Send several frames of one thing as `images`; they get one answer. For several things in one picture, send
    `regions`, which are answered box by box, or `tiles`, which searches the picture.
    """
    _ = service.recogniser.label_set  # while starting, refuse before the picture is decoded
    recognition = RecognitionRequest(service, body, key, request.state.request_id)
    if body.images:
        return await _frames(recognition)
    if body.regions:
        return await _regions(recognition)
    if body.tiles:
        return await _tiles(recognition)
    return await _picture(recognition)


async def _picture(request: RecognitionRequest) -> ProcessImageAnswer:
    vector = await request.service.pipeline.vector(request.body.image_data)
    return await _answer(request, request.recognise(vector), [vector], [request.body.image_data])


async def _frames(request: RecognitionRequest) -> ProcessImageAnswer:
    """Pool several pictures of one thing; those too unlike the rest do not count."""
    images = request.body.images
    vectors = await request.service.pipeline.vectors(images)
    recognition, agreement = await run_in_threadpool(recognise_frames, vectors, request.recognise)
    used = agreement.used
    return await _answer(
        request,
        recognition,
        list(compress(vectors, used)),
        list(compress(images, used)),
        frames=FramesAnswer(used=used, agreement=agreement.share),
    )


async def _answer(
    request: RecognitionRequest,
    recognition: Recognition,
    vectors: Sequence[Floats],
    pictures: Sequence[str | bytes],
    **more: Any,
) -> ProcessImageAnswer:
    """Keep the answer for `POST /feedback`, and update the pantry when the recognition is sure."""
    service = request.service
    kept = pictures if service.keep_pictures else ()
    service.answers.remember(request.request_id, Answer(recognition.item, vectors, kept))
    updates = await request.update_pantry({recognition.label: 1} if recognition.sure else {})
    return request.answer(recognition, request.refusal(recognition) or updates.get(recognition.item), **more)


async def _regions(request: RecognitionRequest) -> ProcessImageAnswer:
    """Classify each box that the request names; the top-level fields are of the whole picture."""
    named = [(left, top, right, bottom) for left, top, right, bottom in request.body.regions]
    cut = partial(validate_boxes, named)
    boxes, (whole, *crops) = await request.service.pipeline.crops(request.body.image_data, cut)
    recognitions = await request.recognise_all(crops)
    updates = await request.update_pantry(Counter(each.label for each in recognitions if each.sure))
    regions = [
        RegionAnswer(**response_fields(each), **pantry_fields(request.refusal(each) or updates.get(each.item)), box=box)
        for box, each in zip(boxes, recognitions, strict=True)
    ]
    return request.answer(request.recognise(whole), regions=regions)


async def _tiles(request: RecognitionRequest) -> ProcessImageAnswer:
    """Tile the picture, classify each tile, merge by non-maximum suppression."""
    boxes, (whole, *crops) = await request.service.pipeline.crops(request.body.image_data, grid)
    recognitions = await request.recognise_all(crops)
    labels = {each.item: each.label for each in recognitions}
    things = non_max_suppression(boxes, recognitions)
    updates = await request.update_pantry({labels[each.item]: len(each.boxes) for each in things})
    items = [
        FoundItem(
            item=each.item,
            count=len(each.boxes),
            boxes=each.boxes,
            probabilities=each.probabilities,
            pantry_item=item_name_beside(labels[each.item]),
            **pantry_fields(updates.get(each.item)),
        )
        for each in things
    ]
    return request.answer(request.recognise(whole), items=items)
