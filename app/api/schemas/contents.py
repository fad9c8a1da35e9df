"""Schemas of the contents: stored texts and pictures."""

import json
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    model_validator,
)

from app.api.schemas.base import Picture, Request, needs_one_of
from app.contents import COLLECTION, MAX_ID, MAX_K, ContentType
from app.contents.conditions import Condition, Operator, Scalar

MAX_TEXT = 10_000
MAX_METADATA = 16 * 1024
MAX_DEPTH = 8
MAX_IDS = 100
MAX_FILTERS = 10


def _deeper_than(value: JsonValue, depth: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(depth == 0 or _deeper_than(each, depth - 1) for each in inside)


def _metadata(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Bounded JSON that any store takes as it is; the integers at its top can be compared."""
    if _deeper_than(value, MAX_DEPTH):
        raise ValueError(f"at most {MAX_DEPTH} levels of objects and lists")
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except ValueError as error:  # of a number that is none, and of half a surrogate pair
        raise ValueError("finite numbers and whole unicode characters") from error
    if size > MAX_METADATA:
        raise ValueError(f"{size:,} bytes of JSON; at most {MAX_METADATA:,}")
    if any(isinstance(each, int) and not -(2**63) <= each < 2**63 for each in value.values()):
        raise ValueError("integers of 64 bits")
    return value


Text = Annotated[str, Field(max_length=MAX_TEXT)]  # what has a bound is held to be whole characters as well
ShortText = Annotated[Text, Field(max_length=1000)]
Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Collection = Annotated[Text, Field(min_length=1, max_length=MAX_ID)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_metadata)]


class ContentPut(Request):
    """A text or a picture to keep: `text` or `image_data`, as `type` says."""

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
        description="kept whole; what is beyond the model's context length has no part in its vector",
    )
    image_data: Picture | None = None
    metadata: Metadata = Field(default_factory=dict, description=f"JSON, at most {MAX_METADATA:,} bytes")
    collection: Collection = COLLECTION
    thumbnail: bool = Field(False, description="whether to keep a small JPEG of the picture, for `/thumbnails/{id}`")

    _some_content = model_validator(mode="before")(needs_one_of("text", "image_data"))

    @model_validator(mode="after")
    def _fits(self) -> "ContentPut":
        if (self.text is None) is (self.type == "text") or (self.image_data is None) is (self.type == "image"):
            raise ValueError("a text has `text` and no `image_data`, an image `image_data` and no `text`")
        if self.thumbnail and self.type == "text":
            raise ValueError("a text has no thumbnail")
        return self


class ContentEntry(BaseModel):
    """A content as it is kept."""

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
    thumbnail: bool = Field(description="whether there is one")


class ContentDeleted(BaseModel):
    """A content that is no more."""

    id: str


class ContentCount(BaseModel):
    """How many contents there are."""

    count: int


class Range(Request):
    """Values between bounds: numbers among numbers, texts by their characters."""

    gte: Integer | float | ShortText | None = None
    gt: Integer | float | ShortText | None = None
    lte: Integer | float | ShortText | None = None
    lt: Integer | float | ShortText | None = None

    _some_bound = model_validator(mode="before")(needs_one_of("gte", "gt", "lte", "lt"))

    @model_validator(mode="after")
    def _bounded(self) -> "Range":
        if not self.model_dump(exclude_none=True):
            raise ValueError("one or more of gte, gt, lte, lt")
        return self

    def conditions(self, key: str) -> list[Condition]:
        """What it asks of a field."""
        bounds: dict[Operator, Scalar] = self.model_dump(exclude_none=True)  # type: ignore[assignment]
        return [Condition(key, operator, value) for operator, value in bounds.items()]


class OneOf(Request):
    """One of some values."""

    values: list[bool | Integer | float | ShortText] = Field(alias="in", min_length=1, max_length=100)

    def conditions(self, key: str) -> list[Condition]:
        """What it asks of a field."""
        return [Condition(key, "in", tuple(self.values))]


def _form(value: object) -> str:
    return "value" if not isinstance(value, dict) else "in" if "in" in value else "range"


# told apart by their form, so that an error speaks of the one that was sent
Wanted = Annotated[
    Annotated[bool | Integer | float | ShortText, Tag("value")]
    | Annotated[Range, Tag("range")]
    | Annotated[OneOf, Tag("in")],
    Discriminator(_form),
]


def _few(value: object) -> object:
    """Look at the number of fields first: pydantic validates them all before it counts them."""
    if isinstance(value, dict) and len(value) > MAX_FILTERS:
        raise ValueError(f"{len(value):,} fields; at most {MAX_FILTERS}")
    return value


Filter = Annotated[
    dict[Annotated[Text, Field(max_length=MAX_ID)], Wanted], Field(max_length=MAX_FILTERS), BeforeValidator(_few)
]


class ContentSearch(Request):
    """What to look for: one of `text`, `image_data`, `id` (more like this) and `ids` (more like these)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "something sweet", "k": 3, "filter": {"shelf": {"gte": 1, "lt": 4}, "kind": "food"}},
                {"ids": ["note-1", "photo-7"], "type": "image"},
            ]
        }
    )

    text: Text | None = Field(None, min_length=1, max_length=MAX_TEXT)
    image_data: Picture | None = None
    id: Id | None = Field(None, description="a content; it is not among the hits itself")
    ids: list[Id] | None = Field(None, min_length=1, max_length=MAX_IDS, description="the same with several")
    k: int = Field(10, ge=1, le=MAX_K)
    type: ContentType | None = Field(None, description="what the hits are")
    collection: Collection | None = Field(None, description="where the hits are; without it, everywhere")
    filter: Filter = Field(
        default_factory=dict,
        description="fields at the top of the metadata, all of which have to be equal to a value, within a range "
        '`{"gte": 1, "lt": 4}`, or one of several `{"in": ["a", "b"]}`',
    )

    _some_question = model_validator(mode="before")(needs_one_of("text", "image_data", "id", "ids"))

    @model_validator(mode="after")
    def _one_question(self) -> "ContentSearch":
        if sum(each is not None for each in (self.text, self.image_data, self.id, self.ids)) != 1:
            raise ValueError("exactly one of text, image_data, id and ids")
        return self

    def conditions(self) -> tuple[Condition, ...]:
        """What the filter asks of the metadata."""
        found: list[Condition] = []
        for key, wanted in self.filter.items():
            found += wanted.conditions(key) if isinstance(wanted, Range | OneOf) else [Condition(key, "eq", wanted)]
        return tuple(found)


class HitEntry(BaseModel):
    """A content that was found; `score` is its cosine with what was looked for."""

    id: str
    type: ContentType
    score: float
    metadata: dict[str, Any]


class Hits(BaseModel):
    """What was found, best first: k hits, or as many as there are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"hits": [{"id": "note-1", "type": "text", "score": 0.83, "metadata": {"shelf": 2}}]}]
        }
    )

    hits: list[HitEntry]


class Added(BaseModel):
    """The older form's answer to an addition; `time` is how long it took, in seconds."""

    msg: str
    time: float


class Retrieved(BaseModel):
    """The older form's answer to a search: ids, best first, and their cosines."""

    contents: list[str]
    scores: list[float]
