"""Schemas of the search of the contents: queries, filters on metadata, hits."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from app.api.schemas.base import PictureByUrl, Request, TakesPictures, needs_one_of
from app.api.schemas.contents import Collection, Id, Text
from app.contents import MAX_ID, MAX_IDS, MAX_K, MAX_TEXT, ContentType, Where
from app.contents.metadata import Condition, Operator, Scalar
from app.contents.paging import MAX_CURSOR, MAX_HITS

MAX_FILTERS = 10
MAX_QUERIES = 20
MAX_WEIGHT = 100
ShortText = Annotated[Text, Field(max_length=1000)]
Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]


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


# distinguished by their form, so that an error message is about the form that was sent
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


class Like(Request, PictureByUrl):
    """A query: a text, an image, or a stored entry."""

    text: Text | None = Field(None, min_length=1, max_length=MAX_TEXT)
    id: Id | None = Field(None, description="an entry's id; the entry itself is not among the hits")


class WeightedQuery(Like):
    """One of several queries: exactly one of `text`, `image_data` and `id`, and how much it counts."""

    weight: float = Field(
        1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT, description="how much it counts; a negative weight leads away from it"
    )

    _some_question = model_validator(mode="before")(needs_one_of("text", "image_data", "image_url", "id"))

    @model_validator(mode="after")
    def _one_question(self) -> "WeightedQuery":
        if sum(each is not None for each in (self.text, self.image_data, self.id)) != 1:
            raise ValueError("exactly one of text, image_data and id is needed")
        return self


class ContentSearch(Like, TakesPictures):
    """The query: exactly one of `text`, `image_data`, `id`, `ids`, `queries`, and `cursor` for the next page."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "something sweet", "k": 3, "filter": {"shelf": {"gte": 1, "lt": 4}, "kind": "food"}},
                {"ids": ["note-1", "photo-7"], "only": "image"},
                {
                    "queries": [{"id": "photo-7"}, {"text": "green"}, {"text": "an apple", "weight": -0.5}],
                    "min_score": 0.2,
                },
            ]
        }
    )

    ids: list[Id] | None = Field(
        None,
        min_length=1,
        max_length=MAX_IDS,
        description="the same with several entries: the mean of their embeddings is the query",
    )
    queries: list[WeightedQuery] | None = Field(
        None,
        min_length=1,
        max_length=MAX_QUERIES,
        description="several queries at once: the sum of their embeddings, each times its weight, is the query",
    )
    cursor: Annotated[str, Field(min_length=1, max_length=MAX_CURSOR)] | None = Field(
        None,
        description="from the response before, in place of the query: the next hits, with the same filters. "
        f"All pages together have at most {MAX_HITS:,} hits",
    )
    k: int = Field(10, ge=1, le=MAX_K)
    min_score: float = Field(-1.0, ge=-1, le=1, description="the least cosine similarity of a hit")
    only: ContentType | None = Field(None, description="return only entries of this kind")
    type: ContentType | None = Field(
        None,
        description="deprecated: the older name of `only`, accepted for one more release",
        json_schema_extra={"deprecated": True},
    )
    collection: Collection | None = Field(
        None, description="return only entries of this collection; without it, of all"
    )
    filter: Filter = Field(
        default_factory=dict,
        description="conditions on top-level metadata fields, all of which must hold: equal to a value, within a range "
        '`{"gte": 1, "lt": 4}`, or one of several values `{"in": ["a", "b"]}`',
    )

    _some_question = model_validator(mode="before")(
        needs_one_of("text", "image_data", "image_url", "id", "ids", "queries", "cursor")
    )

    @model_validator(mode="after")
    def _one_question(self) -> "ContentSearch":
        asked = (self.text, self.image_data, self.id, self.ids, self.queries, self.cursor)
        if sum(each is not None for each in asked) != 1:
            raise ValueError("exactly one of text, image_data, id, ids, queries and cursor is needed")
        if self.type and self.only and self.type != self.only:
            raise ValueError("`type` is the older name of `only`: send `only` alone")
        return self

    def where(self) -> Where:
        """Return the search filter."""
        found: list[Condition] = []
        for key, wanted in self.filter.items():
            found += wanted.conditions(key) if isinstance(wanted, Range | OneOf) else [Condition(key, "eq", wanted)]
        return Where(self.only or self.type, self.collection, tuple(found))

    def weighted(self) -> list[WeightedQuery]:
        """Return the query as a list of queries, in whichever form it was sent."""
        if self.queries is not None:
            return self.queries
        if self.ids is not None:
            return [WeightedQuery.model_construct(id=id) for id in self.ids]
        return [WeightedQuery.model_construct(text=self.text, image_data=self.image_data, id=self.id)]


class HitEntry(BaseModel):
    """An entry that was found; `score` is its cosine similarity to the query."""

    id: str
    type: ContentType
    score: float
    metadata: dict[str, Any]


class Hits(BaseModel):
    """The hits, best first: k of them, or as many as there are, and where the next page begins."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "hits": [{"id": "note-1", "type": "text", "score": 0.83, "metadata": {"shelf": 2}}],
                    "cursor": None,
                }
            ]
        }
    )

    hits: list[HitEntry]
    cursor: str | None = Field(description="send it in place of the query for the next page; null: there is none")
