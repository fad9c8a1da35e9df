"""Schemas of the contents: stored texts and pictures."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from app.api.schemas.base import PictureByUrl, Request, TakesPictures, needs_one_of
from app.contents import COLLECTION, MAX_ID, MAX_TEXT, ContentType
from app.contents.metadata import MAX_METADATA, check_metadata

Text = Annotated[str, Field(max_length=MAX_TEXT)]  # pydantic also checks a bounded string for lone surrogates
Collection = Annotated[Text, Field(min_length=1, max_length=MAX_ID)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(check_metadata)]


class ContentPut(Request, TakesPictures, PictureByUrl):
    """A text or an image to store: `text` or `image_data`, according to `type`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"type": "text", "text": "a jar of honey", "metadata": {"shelf": 2}, "collection": "notes"}]
        }
    )

    type: ContentType
    text: Text | None = Field(
        None,
        min_length=1,
        max_length=MAX_TEXT,
        description="stored whole; only the part within the model's context length is embedded",
    )
    metadata: Metadata = Field(default_factory=dict, description=f"JSON, at most {MAX_METADATA:,} bytes")
    collection: Collection = COLLECTION
    thumbnail: bool = Field(False, description="whether to store a small JPEG of the image, for `/thumbnails/{id}`")

    _some_content = model_validator(mode="before")(needs_one_of("text", "image_data", "image_url"))

    @classmethod
    def of_pictures(cls, pictures: Sequence[bytes]) -> dict[str, Any]:
        """Return the fields that these pictures fill, with their type."""
        return super().of_pictures(pictures) | ({"type": "image"} if pictures else {})

    @model_validator(mode="after")
    def _fits(self) -> "ContentPut":
        if (self.text is None) is (self.type == "text") or (self.image_data is None) is (self.type == "image"):
            raise ValueError(
                "type text needs `text` without `image_data`, type image needs `image_data` without `text`"
            )
        if self.thumbnail and self.type == "text":
            raise ValueError("`thumbnail` is only for images")
        return self


class ContentEntry(BaseModel):
    """A stored entry."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "note-1",
                    "type": "text",
                    "text": "a jar of honey",
                    "metadata": {"shelf": 2},
                    "collection": "notes",
                    "thumbnail": False,
                }
            ]
        }
    )

    id: str
    type: ContentType
    text: str | None
    metadata: dict[str, Any]
    collection: str
    thumbnail: bool = Field(description="whether the entry has a thumbnail")


class ContentDeleted(BaseModel):
    """A deleted entry."""

    id: str


class ContentList(BaseModel):
    """The number of entries; where a list was asked for, also a page of them."""

    count: int
    entries: list[ContentEntry] = Field(default=[], description="a page of the list, where one was asked for")
    cursor: str | None = Field(default=None, description="where the next page begins; null: there is none")


class CollectionDeleted(BaseModel):
    """A deleted collection, and how many entries it had."""

    collection: str
    deleted: int


class CollectionRename(Request):
    """A collection and its new name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"collection": "notes", "to": "recipes"}]})

    collection: Collection
    to: Collection
    merge: bool = Field(False, description="whether `to` may have entries already")

    @model_validator(mode="after")
    def _two(self) -> "CollectionRename":
        if self.collection == self.to:
            raise ValueError("`collection` and `to` are the same name")
        return self


class CollectionRenamed(BaseModel):
    """A collection by its new name, and how many entries were moved."""

    collection: str
    renamed: int
