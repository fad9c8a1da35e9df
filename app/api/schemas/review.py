"""Schemas of the review queue."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.base import Request
from app.api.schemas.pantry import ExampleEntry


class ReviewEntry(BaseModel):
    """A picture, or frames of one thing, that was not recognised for sure, and what it would be taken for now."""

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
    """What is to be labelled, the most informative first."""

    total: int = Field(description="how many there are")
    entries: list[ReviewEntry]


class ReviewLabel(Request):
    """What a picture shows."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "oat drink"}]})

    item: str


class ReviewLabelled(BaseModel):
    """The label as it was stored, and what it taught."""

    id: str
    item: str
    answered: str = Field(description="the item that the service had answered")
    right: bool = Field(description="whether that was right")
    pictures_kept: int = Field(description="how many images were stored as feedback")
    taught: list[ExampleEntry]


class ReviewDismissed(BaseModel):
    """The entry that is not asked for any more."""

    id: str
