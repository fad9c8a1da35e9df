"""The report on what was taught: leave-one-out accuracy, confusions, items that look alike, examples that mislead."""

import asyncio
from itertools import islice

from fastapi import APIRouter

from app.api.dependencies import KEYS, ServiceDep
from app.api.schemas.base import Error
from app.api.schemas.teaching_report import Alike, ExamplesReport, MisleadingExample, TakenFor, TaughtItem
from app.api.teaching import is_used
from app.errors import Overloaded
from app.recognition.leave_one_out import TeachingReport, report

WAIT_S = 8.0  # for the report: 5,000 examples among 1,000 labels take some 3 seconds of one processor
MOST = 100  # confusions, and pairs that look alike
router = APIRouter(
    tags=["teaching"],
    dependencies=KEYS,
    responses={503: {"model": Error, "description": "overloaded, draining, or the store is unavailable"}},
)


@router.get("/examples/report")
async def examples_report(service: ServiceDep) -> ExamplesReport:
    """Judge all examples by each other: each is left out once, and recognised by all others (leave-one-out).

    The answer says which items are confused, which look alike, and which examples mislead: those that look like another
    item without themselves, with what their deletion would improve.
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
