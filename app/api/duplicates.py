"""Near-duplicates among the entries: a background job, polled by id."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import ServiceDep
from app.api.schemas.base import Error, Request
from app.api.schemas.contents import Collection
from app.contents import ContentType, FileFacts, Where
from app.contents.duplicates import DISTANCES, MAX_GROUPS, MAX_MEMBERS, Distance, Group, find_duplicates
from app.serving.jobs import Job, Status


class DuplicateSearch(Request):
    """Which entries to compare, and how near they have to be."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"collection": "photos", "distance": "copy"}]})

    collection: Collection | None = Field(None, description="of this collection alone; without it, of all")
    only: ContentType | None = Field(None, description="only entries of this kind")
    distance: Literal["copy", "scene", "alike"] = Field(
        "copy",
        description="copy: the same picture saved again; scene: the same thing once more; alike: things of one kind. "
        f"The least cosines are {', '.join(f'{each.cosine:g}' for each in DISTANCES.values())}, by larder-small; "
        "copies also have nearly the same perceptual hash",
    )
    min_score: float | None = Field(None, gt=0, le=1, description="the least cosine, in place of the distance's")


class DuplicateEntry(BaseModel):
    """An entry of a group; `score` is its cosine similarity to the one to keep."""

    id: str
    type: ContentType
    score: float
    metadata: dict[str, Any]
    thumbnail: bool
    width: int | None = Field(None, description="pixels, of a picture; so the following")
    height: int | None = None
    bytes: int | None = None
    stored_at: float | None = Field(None, description="seconds since 1970")


class DuplicateGroup(BaseModel):
    """Entries that are connected by similarity, the one to keep first."""

    keep: str
    why: str = Field(description="why that one is to be kept")
    size: int = Field(description=f"how many entries the group has; at most {MAX_MEMBERS:,} are listed")
    entries: list[DuplicateEntry]


class DuplicateJob(BaseModel):
    """A search for near-duplicates: ask `GET /jobs/{job}` until its status is done or failed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"job": "5f0c1c0e", "status": "running", "progress": 0.4, "problem": None, "total": 0, "groups": []}
            ]
        }
    )

    job: str
    status: Status
    progress: float = Field(description="from 0 to 1")
    problem: str | None = Field(description="why it failed")
    total: int = Field(description=f"how many groups there are; at most {MAX_GROUPS:,}")
    groups: list[DuplicateGroup] = Field(description="a page of the groups, the closest first")


AT_FIRST_S = 1.0  # wait of the first response: a small collection is done by then
PAGE = 100  # groups
router = APIRouter(
    tags=["contents"],
    responses={
        404: {"model": Error, "description": "no such job"},
        503: {"model": Error, "description": "overloaded, draining, or the contents are unavailable"},
    },
)


@router.post("/contents/duplicates")
async def duplicates(body: DuplicateSearch, service: ServiceDep) -> DuplicateJob:
    """Start a search for groups of near-duplicates; a small collection is done with the first response."""
    await service.contents.read(lambda contents: contents.count(body.collection))  # reports an absent store at once
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
