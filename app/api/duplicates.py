"""Near-duplicates among the entries: a job that is asked for by its id."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api.dependencies import KEYS, ServiceDep
from app.api.schemas.base import Error
from app.api.schemas.duplicates import DuplicateEntry, DuplicateGroup, DuplicateJob, DuplicateSearch
from app.contents import FileFacts, Where
from app.contents.duplicates import DISTANCES, Distance, Group, find_duplicates
from app.serving.jobs import Job

AT_FIRST_S = 1.0  # that the first answer waits: a small collection is done by then
PAGE = 100  # groups
router = APIRouter(
    tags=["contents"],
    dependencies=KEYS,
    responses={
        404: {"model": Error, "description": "no such job"},
        503: {"model": Error, "description": "overloaded, draining, or the contents are unavailable"},
    },
)


@router.post("/contents/duplicates")
async def duplicates(body: DuplicateSearch, service: ServiceDep) -> DuplicateJob:
    """Begin to look for groups of near-duplicates; a small collection is done with the first answer."""
    await service.contents.read(lambda contents: contents.count(body.collection))  # away, or none: said at once
    where = Where(body.only, body.collection)
    distance = DISTANCES[body.distance] if body.min_score is None else Distance(body.min_score)
    contents, folder = service.contents.store, service.settings.data
    job = service.jobs.start(lambda progress: find_duplicates(contents, where, distance, progress, folder))
    await asyncio.to_thread(job.ended.wait, AT_FIRST_S)
    return _wire(job, 0, PAGE)


@router.get("/jobs/{id}")
async def job(
    id: str,
    service: ServiceDep,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE,
) -> DuplicateJob:
    """Get a job: its progress, and its groups when it is done, the closest first."""
    return _wire(service.jobs.get(id), offset, limit)


def _wire(job: Job, offset: int, limit: int) -> DuplicateJob:
    return DuplicateJob(
        job=job.id,
        status=job.status,
        progress=round(job.progress, 3),
        problem=job.problem or None,
        total=len(job.results),
        groups=[_group(group) for group in job.results[offset : offset + limit]],
    )


def _facts(file: FileFacts | None) -> dict[str, Any]:
    return {} if file is None else {name: value for name, value in file._asdict().items() if name != "fingerprint"}


def _group(group: Group) -> DuplicateGroup:
    entries = [
        DuplicateEntry(
            id=member.content.id,
            type=member.content.type,
            score=member.score,
            metadata=dict(member.content.metadata),
            thumbnail=member.content.thumbnail is not None,
            **_facts(member.content.file),
        )
        for member in group.members
    ]
    return DuplicateGroup(keep=entries[0].id, why=group.why, size=group.size, entries=entries)
