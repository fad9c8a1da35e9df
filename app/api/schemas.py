"""The forms of requests and answers, section 4 of the architecture."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.pantry import MAX_COUNT

Quantity = Annotated[int, Field(ge=1, le=MAX_COUNT)]


class Request(BaseModel):
    """Unknown fields are refused, and a wrong type is not guessed into the right one."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class PantryUpdate(Request):
    """What to do to the pantry's count of the recognised item."""

    operation: Literal["add", "remove"]
    quantity: Quantity = 1


class ProcessImage(Request):
    """A picture to recognise among the live labels."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image_data": "/9j/4AAQSkZJRgABAQ…", "pantry_update": {"operation": "add", "quantity": 1}}]
        }
    )

    image_data: str = Field(min_length=1, description="the picture in base64, with or without a `data:` prefix")
    top_k: int = Field(5, ge=1, le=1000, description="how many labels to name")
    threshold: float = Field(0.8, ge=0, le=1, description="confident when the first of `top_k_scores` is above it")
    pantry_update: PantryUpdate | None = Field(
        None, description="carried out when the answer is confident and `known` is not false"
    )


class ItemCount(BaseModel):
    """An item of the pantry and its count."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "banana", "count": 3}]})

    item: str
    count: int


class ItemRemoved(ItemCount):
    """An item of the pantry, its count after a removal, and how many that took: fewer when there were fewer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "banana", "count": 0, "removed": 3}]})

    removed: int


class ProcessImageAnswer(BaseModel):
    """What the picture shows, and how sure that is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "item": "banana",
                    "message": 1,
                    "similarity_score": 0.93,
                    "calibrated_probability": 0.95,
                    "top_k_items": ["banana", "lemon"],
                    "top_k_scores": [0.97, 0.03],
                    "confident": True,
                    "known": True,
                    "top_k_probabilities": [0.93, 0.03],
                    "top_k_cosines": [0.81, 0.64],
                    "label_count": 121,
                    "model": "larder-small",
                    "pantry": {"item": "banana", "count": 4},
                }
            ]
        }
    )

    item: str = Field(description="the best label")
    message: Literal[0, 1] = Field(description="1 confident, 0 not")
    similarity_score: float = Field(description="the best label's probability: softmax over all labels")
    calibrated_probability: float | None = Field(
        description="how likely the best label is right, by a temperature fitted on data; null where the model has none"
    )
    top_k_items: list[str] = Field(description="the best labels, best first")
    top_k_scores: list[float] = Field(description="their probabilities, renormalised to sum to 1")
    confident: bool = Field(description="the same as `message`")
    known: bool | None = Field(
        description="whether the picture shows any of the labels at all; null where the model is not calibrated"
    )
    top_k_probabilities: list[float] = Field(description="their probabilities: softmax over all labels")
    top_k_cosines: list[float] = Field(description="their cosines with the picture")
    label_count: int = Field(description="how many labels there were to choose from")
    model: str
    pantry: ItemCount | None = Field(description="the item and its new count, when the pantry was updated")


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
