"""The leave-one-out report: accuracy, confusions, items that look alike, misleading examples."""

import asyncio
from itertools import islice

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import ServiceDep
from app.api.schemas.base import Error
from app.api.teaching import is_used
from app.errors import Overloaded
from app.recognition.leave_one_out import TeachingReport, report


class TaughtItem(BaseModel):
    """An item that was taught."""

    item: str
    examples: int
    right: int | None = Field(
        description="how many of them the others recognise, each left out once; null where there is one example alone"
    )


class TakenFor(BaseModel):
    """How many examples of one item are taken for another when left out."""

    item: str
    taken_for: str
    count: int


class Alike(BaseModel):
    """Two items that are near to each other."""

    item: str
    other: str
    similarity: float = Field(description="cosine of the means of their examples, or with the name of what has none")


class MisleadingExample(BaseModel):
    """An example that its item's other examples contradict."""

    item: str
    id: str
    looks_like: str
    probability: float = Field(description="of its own item, when it is left out")
    improves: int = Field(description="how many more of the other examples were right if this one were deleted")


class ExamplesReport(BaseModel):
    """The leave-one-out report: each example is left out once and recognised by all others."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "examples": 9,
                    "unused": 0,
                    "judged": 9,
                    "right": 7,
                    "items": [
                        {"item": "oat drink", "examples": 5, "right": 4},
                        {"item": "soy drink", "examples": 4, "right": 3},
                    ],
                    "confusions": [
                        {"item": "oat drink", "taken_for": "soy drink", "count": 1},
                        {"item": "soy drink", "taken_for": "oat drink", "count": 1},
                    ],
                    "look_alike": [{"item": "oat drink", "other": "soy drink", "similarity": 0.87}],
                    "misleading": [
                        {
                            "item": "oat drink",
                            "id": "5f0c1c0e4b7d4a53a2c3f6d0e8b9a7c1",
                            "looks_like": "soy drink",
                            "probability": 0.12,
                            "improves": 1,
                        }
                    ],
                }
            ]
        }
    )

    examples: int = Field(description="that the served model made")
    unused: int = Field(description="of another model, or of no label")
    judged: int = Field(description="of items with two examples or more: the others cannot be left out")
    right: int = Field(description="how many of these are recognised by the others")
    items: list[TaughtItem]
    confusions: list[TakenFor] = Field(description="the most frequent first, at most 100")
    look_alike: list[Alike] = Field(description="the most alike first, at most 100")
    misleading: list[MisleadingExample] = Field(description="those first whose deletion improves most, at most 50")


WAIT_S = 8.0  # for the report: 5,000 examples among 1,000 labels take some 3 seconds of one processor
MOST = 100  # confusions, and pairs that look alike, at most
router = APIRouter(
    tags=["teaching"],
    responses={503: {"model": Error, "description": "overloaded, draining, or the store is unavailable"}},
)


@router.get("/examples/report")
async def examples_report(service: ServiceDep) -> ExamplesReport:
    """Judge all examples by leave-one-out: each is left out once, and recognised by all others.

    The response lists items that are confused, items that look alike, and misleading examples: those that look like
    another item when left out, with the effect of deleting them.
    """
    labels, scale = service.recogniser.label_set, service.recogniser.logit_scale
    stored = await service.pantry.read(lambda pantry: pantry.examples())
    used = [each for each in stored if is_used(each, service)]
    key = (labels.version, *(each.id for each in used))  # a repeated request gets the same job
    job = service.jobs.start(lambda _: [report(used, labels, scale)], key)
    await asyncio.to_thread(job.ended.wait, WAIT_S)
    if job.problem:
        raise RuntimeError(f"the report failed: {job.problem}")
    if not job.results:
        raise Overloaded("the report is not ready yet: ask again")
    return _wire(job.results[0], len(stored))


def _wire(found: TeachingReport, stored: int) -> ExamplesReport:
    judged = [each for each in found.items if each.right is not None]
    examples = sum(each.examples for each in found.items)
    return ExamplesReport(
        examples=examples,
        unused=stored - examples,
        judged=sum(each.examples for each in judged),
        right=sum(each.right or 0 for each in judged),
        items=[TaughtItem(item=each.item, examples=each.examples, right=each.right) for each in found.items],
        confusions=[
            TakenFor(item=item, taken_for=other, count=count)
            for (item, other), count in islice(found.confusions.items(), MOST)
        ],
        look_alike=[
            Alike(item=each.item, other=each.other, similarity=each.similarity) for each in found.look_alike[:MOST]
        ],
        misleading=[
            MisleadingExample(
                item=each.item,
                id=each.id,
                looks_like=each.looks_like,
                probability=each.probability,
                improves=each.improves,
            )
            for each in found.misleading
        ],
    )
