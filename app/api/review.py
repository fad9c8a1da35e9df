"""The review queue: pictures without a confident answer, to be labelled."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import ServiceDep
from app.api.schemas.base import Error, Request
from app.api.schemas.pantry import ExampleEntry
from app.api.teaching import correct, keep, wire
from app.errors import NotFound
from app.images.header import media_type_of
from app.pantry import PantryStore, item_name
from app.pantry.examples import new_example
from app.recognition.uncertainty import Uncertain, by_uncertainty
from app.serving.review import ReviewQueue, Unsure
from app.text import normalise


class ReviewEntry(BaseModel):
    """A picture, or frames of one thing, without a confident answer, and its best labels now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "9f86d081884c7d65",
                    "at": "2026-01-31T12:00:00Z",
                    "seen": 3,
                    "pictures": 1,
                    "known": True,
                    "uncertainty": 0.41,
                    "top_k_items": ["lime", "avocado"],
                    "top_k_scores": [0.52, 0.48],
                }
            ]
        }
    )

    id: str
    at: datetime = Field(description="when it, or a near-duplicate of it, came last")
    seen: int = Field(description="how many near-duplicates came, itself included")
    pictures: int = Field(description="how many pictures are kept of it; 0 without LARDER_KEEP_PICTURES")
    known: bool | None = Field(description="whether it shows any of the labels at all")
    uncertainty: float = Field(
        description="the entropy of the probabilities of all labels, as a share of the most there can be"
    )
    top_k_items: list[str] = Field(description="the best labels")
    top_k_scores: list[float] = Field(description="their probabilities, renormalised to sum to 1")


class Review(BaseModel):
    """The entries to label, most informative first."""

    total: int = Field(description="how many there are")
    entries: list[ReviewEntry]


class ReviewLabel(Request):
    """The label of a picture."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "oat drink"}]})

    item: str


class ReviewLabelled(BaseModel):
    """The stored label, and what it taught."""

    id: str
    item: str
    answered: str = Field(description="the item that the service had answered")
    right: bool = Field(description="whether that was right")
    pictures_kept: int = Field(description="how many images were stored as feedback")
    taught: list[ExampleEntry]


class ReviewDismissed(BaseModel):
    """The dismissed entry."""

    id: str


TOP_K = 5
router = APIRouter(
    tags=["teaching"],
    responses={
        404: {"model": Error, "description": "not in the queue"},
        503: {"model": Error, "description": "overloaded, draining, or a store is unavailable"},
    },
)


@router.get("/review")
async def review(service: ServiceDep, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Review:
    """List recent pictures without a confident answer, most informative first (uncertainty sampling by entropy).

    Near-duplicates are one entry. Pictures that are recognised confidently by now, because of later teaching, are left
    out.
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
    """Get a picture of an entry, counted from 0; there is none without LARDER_KEEP_PICTURES."""
    pictures = await service.review.read(lambda review: review.pictures(id))
    if not 0 <= place < len(pictures):
        raise NotFound(f"{id!r} has {len(pictures)} pictures in the review queue; the first is 0")
    return Response(pictures[place], media_type=media_type_of(pictures[place]))


@router.post("/review/{id}")
async def label(id: str, body: ReviewLabel, service: ServiceDep) -> ReviewLabelled:
    """Label an entry: the label is stored as feedback, teaches the item, and removes the entry from the list.

    Sending the same label again has no effect; another one replaces the first.
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
    """Dismiss an entry: it and its near-duplicates do not return, and its pictures are deleted."""
    await service.review.change(lambda review: review.dismiss(id))
    return ReviewDismissed(id=id)
