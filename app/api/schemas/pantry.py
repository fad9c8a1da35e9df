"""Schemas of the pantry: items with counts, their barcodes, examples, feedback."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.schemas.base import ImageUrl, Picture, Request, TakesPictures, needs_one_of
from app.images.barcodes import Format
from app.pantry import MAX_COUNT
from app.pantry.journal import Action

MAX_PICTURES = 32
Quantity = Annotated[int, Field(ge=1, le=MAX_COUNT)]


class ItemCount(BaseModel):
    """An item of the pantry and its count."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "banana", "count": 3}]})

    item: str
    count: int


class ItemRemoved(ItemCount):
    """An item of the pantry, its count after a removal, and how many were removed: at most as many as there were."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "banana", "count": 0, "removed": 3}]})

    removed: int


class Items(BaseModel):
    """All items of the pantry, by name."""

    items: list[ItemCount]


class JournalEntry(BaseModel):
    """A change of an item's count."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "17",
                    "at": "2026-01-31T12:00:00Z",
                    "by": "kitchen-robot",
                    "request_id": "5f0c1c0e4b7d4a53a2c3f6d0e8b9a7c1",
                    "action": "add",
                    "item": "banana",
                    "before": 2,
                    "after": 3,
                    "undoes": None,
                    "undone_by": None,
                }
            ]
        }
    )

    id: str
    at: datetime
    by: str | None = Field(description="the name of the API key; null: none was needed")
    request_id: str | None = Field(description="the response's header `X-Request-ID`; null: a command made the change")
    action: Action
    item: str
    before: int | None = Field(description="the count before; null: the item was not there")
    after: int | None = Field(description="the count after; null: the item was deleted")
    undoes: str | None = Field(description="the id of the change that this one undid")
    undone_by: str | None = Field(description="the id of the change that undid this one")


class Journal(BaseModel):
    """A page of the journal, newest first."""

    entries: list[JournalEntry]
    cursor: str | None = Field(description="where the next page begins; null: there is none")


class Count(Request):
    """A count to set."""

    count: int = Field(ge=0, le=MAX_COUNT)


class Change(Request):
    """A quantity to add or remove."""

    quantity: Quantity = 1


class PantryUpdate(Request):
    """A change of the recognised item's count."""

    operation: Literal["add", "remove"]
    quantity: Quantity = 1


class Examples(Request, TakesPictures):
    """Images that show an item."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"images": ["/9j/4AAQSkZJRgABAQ…"]}]})

    images: list[Picture] = Field([], max_length=MAX_PICTURES)
    image_urls: list[ImageUrl] = Field(
        [],
        max_length=MAX_PICTURES,
        description="instead of `images`, or beside them: http or https URLs, which LARDER_IMAGE_URLS has to allow",
    )

    _some_source = model_validator(mode="before")(needs_one_of("images", "image_urls"))

    @model_validator(mode="after")
    def _some_pictures(self) -> "Examples":
        if not 1 <= len(self.images) + len(self.image_urls) <= MAX_PICTURES:
            raise ValueError(
                f"{len(self.images) + len(self.image_urls)} images were found; 1 to {MAX_PICTURES} are accepted"
            )
        return self

    @property
    def pictures(self) -> list[Picture]:
        """Return all pictures; call it after fetching those at URLs."""
        return [*self.images, *(each.image_data for each in self.image_urls if each.image_data)]


class ExampleEntry(BaseModel):
    """An example with its warnings."""

    id: str
    taught_at: datetime
    used: bool = Field(description="whether the served model made it; examples of another model are kept, but not used")
    near_duplicate_of: str | None = Field(
        description="the id of an earlier example of the item that is nearly the same"
    )
    contradicts: str | None = Field(description="the other item or label that the image looks like")


class ExampleList(BaseModel):
    """An item's examples, oldest first."""

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
    """The right item for an earlier answer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"request_id": "5f0c1c0e4b7d4a53a2c3f6d0e8b9a7c1", "item": "oat drink"}]}
    )

    request_id: str = Field(description="the answer's header `X-Request-ID`")
    item: str
    teach: bool = Field(False, description="whether to teach the item by the images of the answer")
    tie_barcode: bool = Field(
        False,
        description="whether to tie the barcode of the image to the item: its only EAN or UPC, or without one its only "
        "QR code, where none of its codes is tied yet; the answer has to be one with `barcodes`",
    )


class FeedbackAnswer(BaseModel):
    """The feedback as it was stored."""

    request_id: str
    item: str
    answered: str = Field(description="the item that the service answered")
    right: bool = Field(description="whether the answer was right")
    pictures_kept: int = Field(description="how many images were stored; 0 without LARDER_KEEP_PICTURES")
    taught: list[ExampleEntry] | None = Field(description="the new examples, with `teach`; otherwise null")
    tied: str | None = Field(
        None, exclude_if=lambda tied: tied is None, description="the barcode that was tied; only with `tie_barcode`"
    )


class BarcodeFound(BaseModel):
    """A barcode in a picture."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"code": "4006381333931", "format": "ean_13", "box": [40, 60, 320, 210], "item": "rice"}]
        }
    )

    code: str = Field(description="a UPC-A or UPC-E as the EAN-13 that it stands for")
    format: Format
    box: tuple[int, int, int, int] = Field(description="left, top, right, bottom in pixels of the upright image")
    item: str | None = Field(description="the item that the code is tied to; null: it is tied to none")


class BarcodePut(Request):
    """The item to tie a code to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "rice"}]})

    item: str


class BarcodeItem(BaseModel):
    """A code and its item."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "4006381333931", "item": "rice"}]})

    code: str
    item: str


class BarcodeList(BaseModel):
    """A page of the codes, in their order."""

    barcodes: list[BarcodeItem]
    cursor: str | None = Field(description="where the next page begins; null: there is none")


class BarcodeDeleted(BaseModel):
    """A code that is tied to no item any more."""

    code: str
