"""The forms of requests and answers, section 4 of the architecture."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.pantry import MAX_COUNT

Quantity = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Picture = Annotated[str, Field(min_length=1, description="in base64, with or without a `data:` prefix")]


class Request(BaseModel):
    """Unknown fields are refused, and a wrong type is not guessed into the right one."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def needs_one_of(*names: str) -> Callable[[Any], Any]:
    """A check before all others, so that who misspells one of these fields is told its name.

    >>> needs_one_of("text", "id")({"txt": "a"})
    Traceback (most recent call last):
    ValueError: one of text, id is needed; found: txt
    """

    def check(body: Any) -> Any:
        if isinstance(body, dict) and body.keys().isdisjoint(names):
            found = ", ".join(body)[:100] or "no field"
            raise ValueError(f"one of {', '.join(names)} is needed; found: {found}")
        return body

    return check


class ItemCount(BaseModel):
    """An item of the pantry and its count."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "banana", "count": 3}]})

    item: str
    count: int


class ItemRemoved(ItemCount):
    """An item of the pantry, its count after a removal, and how many that took: fewer when there were fewer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "banana", "count": 0, "removed": 3}]})

    removed: int


class PantryHealth(BaseModel):
    """How the pantry is: `ok`, `stale` or `none`; `age_s` is the age of what is served."""

    status: str
    age_s: float


class Health(BaseModel):
    """How the service is."""

    message: str
    status: Literal["ready", "starting", "draining", "failing"]
    model: str
    labels: int
    pantry: PantryHealth
    version: str


class LabelEntry(BaseModel):
    """A label, its other names, and where it comes from."""

    label: str
    synonyms: list[str]
    sources: list[str]


class Labels(BaseModel):
    """The merged label set; `version` changes with it."""

    version: str
    count: int
    labels: list[LabelEntry]


class Items(BaseModel):
    """All items of the pantry, by name."""

    items: list[ItemCount]


class Count(Request):
    """A count to set."""

    count: int = Field(ge=0, le=MAX_COUNT)


class Change(Request):
    """A quantity to add or to take."""

    quantity: Quantity = 1


class ErrorBody(BaseModel):
    """What went wrong: a code for programs, a message for people."""

    code: str
    message: str
    request_id: str


class Error(BaseModel):
    """The one error shape."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "code": "invalid_image",
                        "message": "the bytes are not a picture; send one of JPEG, PNG, WEBP, GIF, BMP",
                        "request_id": "5f0c1c0e4b7d4a53a2c3f6d0e8b9a7c1",
                    },
                    "detail": "the bytes are not a picture; send one of JPEG, PNG, WEBP, GIF, BMP",
                }
            ]
        }
    )

    error: ErrorBody
    detail: str
