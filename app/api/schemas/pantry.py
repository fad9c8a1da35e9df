"""Schemas of the pantry: items with counts, examples, feedback."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.base import Picture, Request
from app.pantry import MAX_COUNT

MAX_PICTURES = 32
Quantity = Annotated[int, Field(ge=1, le=MAX_COUNT)]


class ItemCount(BaseModel):
    """An item of the pantry and its count."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "banana", "count": 3}]})

    item: str
    count: int


class ItemRemoved(ItemCount):
    """An item of the pantry, its count after a removal, and how many that took: fewer when there were fewer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "banana", "count": 0, "removed": 3}]})

    removed: int


class Items(BaseModel):
    """All items of the pantry, by name."""

    items: list[ItemCount]


class Count(Request):
    """A count to set."""

    count: int = Field(ge=0, le=MAX_COUNT)


class Change(Request):
    """A quantity to add or to take."""

    quantity: Quantity = 1


class PantryUpdate(Request):
    """What to do to the pantry's count of the recognised item."""

    operation: Literal["add", "remove"]
    quantity: Quantity = 1


class Examples(Request):
    """Pictures that show an item."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"images": ["/9j/4AAQSkZJRgABAQ…"]}]})

    images: list[Picture] = Field(min_length=1, max_length=MAX_PICTURES)


class ExampleEntry(BaseModel):
    """An example, and what speaks against it."""

    id: str
    taught_at: datetime
    used: bool = Field(description="whether the model that is served made it; another model's is kept, but not used")
    near_duplicate_of: str | None = Field(description="the earlier example of the item that is nearly the same")
    contradicts: str | None = Field(description="the other item or label that the picture looks like")


class ExampleList(BaseModel):
    """An item's examples, in the order in which they were taught."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "item": "oat drink",
                    "model": "larder-small",
                    "examples": [
                        {
                            "id": "5f0c1c0e4b7d4a53a2c3f6d0e8b9a7c1",
                            "taught_at": "2026-01-31T12:00:00Z",
                            "used": True,
                            "near_duplicate_of": None,
                            "contradicts": None,
                        }
                    ],
                }
            ]
        }
    )

    item: str
    model: str
    examples: list[ExampleEntry]


class Forgotten(BaseModel):
    """How many examples of an item were deleted."""

    item: str
    deleted: int


class Feedback(Request):
    """The right item for an answer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"request_id": "5f0c1c0e4b7d4a53a2c3f6d0e8b9a7c1", "item": "oat drink"}]}
    )

    request_id: str = Field(description="of the answer: its header `X-Request-ID`")
    item: str
    teach: bool = Field(False, description="whether what was shown becomes an example of the item at once")


class FeedbackAnswer(BaseModel):
    """What was kept."""

    request_id: str
    item: str
    answered: str = Field(description="what the service had said")
    right: bool = Field(description="whether that was the item")
    pictures_kept: int = Field(description="how many pictures are kept; 0 without LARDER_KEEP_PICTURES")
    taught: list[ExampleEntry] | None = Field(description="the examples, where `teach` was asked for")
