"""Schemas of the near-duplicates among the entries."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.base import Request
from app.api.schemas.contents import Collection
from app.contents import ContentType
from app.contents.duplicates import DISTANCES, MAX_GROUPS, MAX_MEMBERS
from app.serving.jobs import Status


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
