"""Feedback: what an answer should have been."""

from fastapi import APIRouter

from app.api.dependencies import KEYS, ServiceDep
from app.api.schemas import Error
from app.api.teaching import keep, wire
from app.api.teaching_schemas import Feedback, FeedbackAnswer
from app.pantry import item_name
from app.pantry.examples import new_example
from app.text import normalise

_AWAY = {"model": Error, "description": "overloaded, or the store is away; the message says what became of a change"}
router = APIRouter(
    tags=["teaching"],
    dependencies=KEYS,
    responses={404: {"model": Error, "description": "no such answer"}, 503: _AWAY},
)


@router.post("/feedback")
async def feedback(body: Feedback, service: ServiceDep) -> FeedbackAnswer:
    """Say what an answer of `/process-image` should have been; with `teach` the item is taught at once.

    What was shown is kept with it: its vector, and the picture itself where LARDER_KEEP_PICTURES is set.
    """
    name, answer = item_name(body.item), service.answers.of(body.request_id)
    label = service.recogniser.label_set.find(name)
    answered = normalise(answer.item)
    right = answered in map(normalise, (name, *(label.names if label else ())))
    if label and label.item:
        name = label.item  # the pantry may have it under a synonym
    keep_feedback = service.feedback_threads.change
    await keep_feedback(service.feedback.keep, answer.id, answer, name, service.checksum)
    taught = None
    if body.teach:
        new = [new_example(name, service.checksum, vector) for vector in answer.vectors]
        taught = wire(service, name, new, await service.pantry_threads.change(keep, service, name, new)).examples
    return FeedbackAnswer(
        request_id=body.request_id,
        item=name,
        answered=answer.item,
        right=right,
        pictures_kept=len(answer.pictures),
        taught=taught,
    )
