"""Few-shot teaching: examples of items, and feedback on answers."""

from collections.abc import Sequence
from datetime import UTC, datetime

from fastapi import APIRouter

from app.api.dependencies import Service, ServiceDep
from app.api.failures import PICTURE
from app.api.media_types import PictureRoute
from app.api.schemas.base import Error
from app.api.schemas.pantry import ExampleEntry, ExampleList, Examples, Feedback, FeedbackAnswer, Forgotten
from app.errors import InvalidRequest
from app.pantry import PantryStore, item_name
from app.pantry.examples import Example, new_example
from app.recognition.review import ExampleWarning, check_examples
from app.serving.feedback import Answer
from app.serving.review import review_id
from app.text import normalise

_AWAY = {
    "model": Error,
    "description": "overloaded, or the store is unavailable; the message says whether a change may have been stored",
}
_MISSING = {"model": Error, "description": "no such item, example or answer"}
EXAMPLES = "/pantry/{item}/examples"
router = APIRouter(route_class=PictureRoute, tags=["teaching"], responses={404: _MISSING, 503: _AWAY})


@router.post(EXAMPLES, responses=PICTURE)
async def teach(item: str, body: Examples, service: ServiceDep) -> ExampleList:
    """Teach an item by example images (few-shot): within a second every service of this pantry recognises it by them.

    A new item is created with count 0. The embeddings are stored, not the images. An example with a warning (a
    near-duplicate, or one that looks like another label) is still stored: `DELETE` undoes it.
    """
    name = item_name(item)
    _ = service.recogniser.label_set  # while starting, refuse before a picture is decoded
    vectors = await service.pipeline.vectors(body.pictures)
    new = [new_example(name, service.model.checksum, vector) for vector in vectors]
    warnings = await service.pantry.change(lambda pantry: keep(pantry, service, name, new))
    return wire(service, name, new, warnings)


def keep(pantry: PantryStore, service: Service, item: str, new: list[Example]) -> dict[str, ExampleWarning]:
    """Store examples of an item; return their warnings by id, from before the examples took effect."""
    warnings = _warnings(service, new, [*pantry.examples(), *new])
    pantry.teach(item, new)
    return warnings


@router.get(EXAMPLES)
async def examples(item: str, service: ServiceDep) -> ExampleList:
    """List an item's examples with their warnings."""
    name = item_name(item)
    return await service.pantry.read(lambda pantry: _examples(pantry, service, name))


def _examples(pantry: PantryStore, service: Service, item: str) -> ExampleList:
    item, stored = pantry.get(item).item, pantry.examples()  # in the pantry's spelling
    found = [each for each in stored if normalise(each.item) == normalise(item)]
    return wire(service, item, found, _warnings(service, found, stored))


@router.delete(EXAMPLES)
async def forget(item: str, service: ServiceDep) -> Forgotten:
    """Delete all examples of an item; the item stays."""
    name = item_name(item)
    await service.pantry.read(lambda pantry: pantry.get(name))
    return Forgotten(item=name, deleted=await service.pantry.change(lambda pantry: pantry.forget(name)))


@router.delete(EXAMPLES + "/{id}")
async def forget_one(item: str, id: str, service: ServiceDep) -> Forgotten:
    """Delete one example of an item."""
    name = item_name(item)
    return Forgotten(item=name, deleted=await service.pantry.change(lambda pantry: pantry.forget(name, [id])))


def _warnings(service: Service, examples: list[Example], stored: Sequence[Example]) -> dict[str, ExampleWarning]:
    """Return the warnings about examples by id, among all stored ones; none about those of another model."""

    def ours(some: Sequence[Example]) -> list[Example]:
        return list({each.id: each for each in some if is_used(each, service)}.values())

    return check_examples(ours(examples), ours(stored), service.recogniser)


def is_used(example: Example, service: Service) -> bool:
    """Return whether the served model can use it: other programs may write invalid examples to the pantry."""
    return example.model == service.model.checksum and example.vector.shape == (service.model.size,)


def wire(service: Service, item: str, examples: list[Example], warnings: dict[str, ExampleWarning]) -> ExampleList:
    """Build the response that lists examples of an item with their warnings."""
    nothing = ExampleWarning(None, None)
    entries = [
        ExampleEntry(
            id=each.id,
            taught_at=datetime.fromtimestamp(each.at, UTC),
            used=is_used(each, service),
            near_duplicate_of=warnings.get(each.id, nothing).near_duplicate_of,
            contradicts=warnings.get(each.id, nothing).contradicts,
        )
        for each in examples
    ]
    return ExampleList(item=item, model=service.model.name, examples=entries)


@router.post("/feedback")
async def feedback(body: Feedback, service: ServiceDep) -> FeedbackAnswer:
    """Correct or confirm an answer of `/process-image`; with `teach`, also teach the item by its images.

    With `tie_barcode`, also tie the barcode that was in the image to the item.

    The embedding is stored with the feedback, and the image where LARDER_KEEP_PICTURES is set.
    """
    answer = service.answers.of(body.request_id)
    if body.tie_barcode and not answer.code:
        raise InvalidRequest(
            f"the answer to {body.request_id[:100]!r} has no barcode to tie: ask for `barcodes`, with an image that "
            "has one EAN or UPC, or else one QR code, and none that is tied already"
        )
    name, right = await correct(service, answer, item_name(body.item))
    await service.review.change(lambda review: review.settle(review_id(answer.id), name))
    taught = None
    if body.teach:
        new = [new_example(name, service.model.checksum, vector) for vector in answer.vectors]
        warnings = await service.pantry.change(lambda pantry: keep(pantry, service, name, new))
        taught = wire(service, name, new, warnings).examples
    code = answer.code if body.tie_barcode else None
    if code:
        await service.pantry.change(lambda pantry: pantry.tie(code, name))
    return FeedbackAnswer(
        request_id=body.request_id,
        item=name,
        answered=answer.item,
        right=right,
        pictures_kept=len(answer.pictures),
        taught=taught,
        tied=code,
    )


async def correct(service: Service, answer: Answer, item: str) -> tuple[str, bool]:
    """Store the right item for an answer; return it in the pantry's spelling, and whether it equals the answer."""
    label = service.recogniser.label_set.find(item)
    right = normalise(answer.item) in map(normalise, (item, *(label.names if label else ())))
    name = label.item if label and label.item else item  # the pantry may have it under a synonym
    checksum = service.model.checksum
    await service.feedback.change(lambda feedback: feedback.keep(answer.id, answer, name, checksum))
    return name, right
