"""The review queue: what was not recognised for sure, to be labelled."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import KEYS, ServiceDep
from app.api.schemas.base import Error
from app.api.schemas.review import Review, ReviewDismissed, ReviewEntry, ReviewLabel, ReviewLabelled
from app.api.teaching import correct, keep, wire
from app.errors import NotFound
from app.images.header import media_type_of
from app.pantry import PantryStore, item_name
from app.pantry.examples import new_example
from app.recognition.uncertainty import Uncertain, by_uncertainty
from app.serving.review import ReviewQueue, Unsure
from app.text import normalise

TOP_K = 5
router = APIRouter(
    tags=["teaching"],
    dependencies=KEYS,
    responses={
        404: {"model": Error, "description": "not in the queue"},
        503: {"model": Error, "description": "overloaded, draining, or a store is unavailable"},
    },
)


@router.get("/review")
async def review(service: ServiceDep, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Review:
    """List what was not recognised for sure lately, what teaches most first (uncertainty sampling by entropy).

    Near-duplicates are one entry. What is recognised for sure by now, because of what was taught, is left out.
    """
    _ = service.recogniser.label_set
    pending = await service.review.read(ReviewQueue.pending)
    vectors = [each.vector for each in pending]
    found = await run_in_threadpool(by_uncertainty, vectors, service.recogniser, TOP_K) if pending else []
    return Review(total=len(found), entries=[_entry(pending[each.place], each) for each in found[:limit]])


def _entry(unsure: Unsure, found: Uncertain) -> ReviewEntry:
    recognition = found.recognition
    return ReviewEntry(
        id=unsure.id,
        at=datetime.fromtimestamp(unsure.at, UTC),
        seen=unsure.seen,
        pictures=unsure.pictures,
        known=recognition.known,
        uncertainty=found.entropy,
        top_k_items=[label.item or label.name for label in recognition.labels],
        top_k_scores=recognition.ranking.scores,
    )


@router.get("/review/{id}/pictures/{place}", response_class=Response, responses={200: {"content": {"image/*": {}}}})
async def picture(id: str, place: int, service: ServiceDep) -> Response:
    """Get a picture of an entry as it came, the first by 0; there is none without LARDER_KEEP_PICTURES."""
    pictures = await service.review.read(lambda review: review.pictures(id))
    if not 0 <= place < len(pictures):
        raise NotFound(f"{id!r} has {len(pictures)} pictures in the review queue; the first is 0")
    return Response(pictures[place], media_type=media_type_of(pictures[place]))


@router.post("/review/{id}")
async def label(id: str, body: ReviewLabel, service: ServiceDep) -> ReviewLabelled:
    """Say what an entry shows: that is kept as feedback, teaches the item, and takes the entry out of the list.

    A label that is sent again changes nothing; another one takes the place of the first.
    """
    name = item_name(body.item)
    unsure = await service.review.read(lambda review: review.get(id))
    pictures = await service.review.read(lambda review: review.pictures(id))
    answer = replace(unsure.answer, pictures=pictures)
    name, right = await correct(service, answer, name)
    await service.pantry.change(lambda pantry: _unteach(pantry, unsure, name, service.model.checksum))
    new = [new_example(name, service.model.checksum, vector) for vector in answer.vectors]
    warnings = await service.pantry.change(lambda pantry: keep(pantry, service, name, new))
    await service.review.change(lambda review: review.settle(id, name))
    return ReviewLabelled(
        id=id,
        item=name,
        answered=answer.item,
        right=right,
        pictures_kept=len(pictures),
        taught=wire(service, name, new, warnings).examples,
    )


def _unteach(pantry: PantryStore, unsure: Unsure, item: str, model: str) -> None:
    """Forget what an entry taught under another label, if it did."""
    if unsure.item is None or normalise(unsure.item) == normalise(item):
        return
    for vector in unsure.answer.vectors:
        with suppress(NotFound):
            pantry.forget(unsure.item, [new_example(unsure.item, model, vector).id])


@router.delete("/review/{id}")
async def dismiss(id: str, service: ServiceDep) -> ReviewDismissed:
    """Dismiss an entry: neither it nor what looks the same is asked for again, and its pictures are deleted."""
    await service.review.change(lambda review: review.dismiss(id))
    return ReviewDismissed(id=id)
