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
    """Check that metadata is bounded JSON that every store accepts; integers at its top level can be compared."""
    if _deeper_than(value, MAX_DEPTH):
        raise ValueError(f"at most {MAX_DEPTH} nesting levels are accepted")
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except ValueError as error:  # NaN, infinity, or a lone surrogate
        raise ValueError("numbers must be finite, and strings must not contain lone surrogates") from error
    if size > MAX_METADATA:
        raise ValueError(f"{size:,} bytes of JSON were found; at most {MAX_METADATA:,} are accepted")
    if any(isinstance(each, int) and not -(2**63) <= each < 2**63 for each in value.values()):
        raise ValueError("integers must fit into 64 bits")
    return value


Text = Annotated[str, Field(max_length=MAX_TEXT)]  # pydantic checks a bounded string for lone surrogates as well
ShortText = Annotated[Text, Field(max_length=1000)]
Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Collection = Annotated[Text, Field(min_length=1, max_length=MAX_ID)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_metadata)]


class ContentPut(Request):
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
    image_data: Picture | None = None
    metadata: Metadata = Field(default_factory=dict, description=f"JSON, at most {MAX_METADATA:,} bytes")
    collection: Collection = COLLECTION
    thumbnail: bool = Field(False, description="whether to store a small JPEG of the image, for `/thumbnails/{id}`")

    _some_content = model_validator(mode="before")(needs_one_of("text", "image_data"))

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


class ContentCount(BaseModel):
    """The number of entries."""

    count: int


class Range(Request):
    """A range of values: numbers by size, strings by their characters."""

    gte: Integer | float | ShortText | None = None
    gt: Integer | float | ShortText | None = None
    lte: Integer | float | ShortText | None = None
    lt: Integer | float | ShortText | None = None

    _some_bound = model_validator(mode="before")(needs_one_of("gte", "gt", "lte", "lt"))

    @model_validator(mode="after")
    def _bounded(self) -> "Range":
        if not self.model_dump(exclude_none=True):
            raise ValueError("one or more of gte, gt, lte, lt are needed")
        return self

    def conditions(self, key: str) -> list[Condition]:
        """Return the conditions on a metadata field."""
        bounds: dict[Operator, Scalar] = self.model_dump(exclude_none=True)  # type: ignore[assignment]
        return [Condition(key, operator, value) for operator, value in bounds.items()]


class OneOf(Request):
    """A list of values, one of which the field must have."""

    values: list[bool | Integer | float | ShortText] = Field(alias="in", min_length=1, max_length=100)

    def conditions(self, key: str) -> list[Condition]:
        """Return the conditions on a metadata field."""
        return [Condition(key, "in", tuple(self.values))]


def _form(value: object) -> str:
    return "value" if not isinstance(value, dict) else "in" if "in" in value else "range"


# told apart by their form, so that an error message is about the form that was sent
Wanted = Annotated[
    Annotated[bool | Integer | float | ShortText, Tag("value")]
    | Annotated[Range, Tag("range")]
    | Annotated[OneOf, Tag("in")],
    Discriminator(_form),
]


def _few(value: object) -> object:
    """Check the number of fields first: pydantic validates them all before it counts them."""
    if isinstance(value, dict) and len(value) > MAX_FILTERS:
        raise ValueError(f"{len(value):,} fields were found; at most {MAX_FILTERS} are accepted")
    return value


Filter = Annotated[
    dict[Annotated[Text, Field(max_length=MAX_ID)], Wanted], Field(max_length=MAX_FILTERS), BeforeValidator(_few)
]


class ContentSearch(Request):
    """The query: exactly one of `text`, `image_data`, `id` (more like this) and `ids` (more like these)."""

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
    id: Id | None = Field(None, description="an entry's id; the entry itself is not among the hits")
    ids: list[Id] | None = Field(
        None,
        min_length=1,
        max_length=MAX_IDS,
        description="the same with several entries: the mean of their embeddings is the query",
    )
    k: int = Field(10, ge=1, le=MAX_K)
    type: ContentType | None = Field(None, description="return only entries of this type")
    collection: Collection | None = Field(
        None, description="return only entries of this collection; without it, of all"
    )
    filter: Filter = Field(
        default_factory=dict,
        description="conditions on top-level metadata fields, all of which must hold: equal to a value, within a range "
        '`{"gte": 1, "lt": 4}`, or one of several values `{"in": ["a", "b"]}`',
    )

    _some_question = model_validator(mode="before")(needs_one_of("text", "image_data", "id", "ids"))

    @model_validator(mode="after")
    def _one_question(self) -> "ContentSearch":
        if sum(each is not None for each in (self.text, self.image_data, self.id, self.ids)) != 1:
            raise ValueError("exactly one of text, image_data, id and ids is needed")
        return self

    def conditions(self) -> tuple[Condition, ...]:
        """Return the filter's conditions on the metadata."""
        found: list[Condition] = []
        for key, wanted in self.filter.items():
            found += wanted.conditions(key) if isinstance(wanted, Range | OneOf) else [Condition(key, "eq", wanted)]
        return tuple(found)


class HitEntry(BaseModel):
    """An entry that was found; `score` is its cosine similarity to the query."""

    id: str
    type: ContentType
    score: float
    metadata: dict[str, Any]


class Hits(BaseModel):
    """The hits, best first: k of them, or as many as there are."""

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
