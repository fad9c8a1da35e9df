"""The base of all request and response schemas: absent and unknown fields, aliases, the error."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from app.errors import InvalidRequest


class _PictureSchema:
    """Validate a base64 string, and accept bytes, which JSON cannot contain; the document describes only the string."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        digest = core_schema.plain_serializer_function_ser_schema(_digest, when_used="json")
        text = core_schema.str_schema(min_length=1)
        return core_schema.no_info_wrap_validator_function(_bytes_too, text, serialization=digest)


def _bytes_too(value: Any, validate: Callable[[Any], str]) -> str | bytes:
    return value if isinstance(value, bytes) else validate(value)


def _digest(picture: str | bytes) -> str:
    """Replace a picture by its digest in the request that an idempotency key identifies."""
    return hashlib.sha256(picture.encode() if isinstance(picture, str) else picture).hexdigest()


Picture = Annotated[str | bytes, _PictureSchema, Field(description="in base64, with or without a `data:` prefix")]


def _box(value: list[int]) -> list[int]:
    left, top, right, bottom = value
    if not (0 <= left < right and 0 <= top < bottom):
        raise ValueError("[left, top, right, bottom] must satisfy 0 <= left < right and 0 <= top < bottom")
    return value


Box = Annotated[list[Annotated[int, Field(lt=2**31)]], Field(min_length=4, max_length=4), AfterValidator(_box)]


def _only_texts(value: Any) -> Any:
    """Stop at the first value that is not a string: pydantic collects an error for each."""
    if isinstance(value, dict):
        for key, text in value.items():
            if not isinstance(text, str):
                raise ValueError(f"{key[:100]!r} has a value that is not a string")
    return value


Texts = Annotated[list[str], Field(fail_fast=True)]
TextMap = Annotated[dict[str, str], BeforeValidator(_only_texts)]


class NullIsAbsent(BaseModel):
    """Treat a null field as absent: typed clients send null for what is not set."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: Any) -> Any:
        return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Mark the optional fields as nullable in the OpenAPI document."""
        document = handler.resolve_ref_schema(handler(schema))
        required = document.get("required", [])
        for name, field in document.get("properties", {}).items():
            if name not in required:
                document["properties"][name] = _nullable(field)
        return document


def _nullable(field: dict[str, Any]) -> dict[str, Any]:
    """Return a field's JSON schema with null allowed; its description stays at the top."""
    forms = field.get("anyOf") or [{key: field[key] for key in field if key not in _DESCRIBING}]
    if {"type": "null"} in forms:
        return field
    about = {key: field[key] for key in field if key in _DESCRIBING}
    return {"anyOf": [*forms, {"type": "null"}], **about}


class TakesPictures(NullIsAbsent):
    """A request with pictures, which may also come as bytes, by other media types than JSON."""

    picture_fields: ClassVar[Sequence[str]] = ("image_data", "image_url", "image_urls", "images")

    @classmethod
    def of_pictures(cls, pictures: Sequence[bytes]) -> dict[str, Any]:
        """Return the fields that these pictures fill; raises InvalidRequest for more pictures than fields."""
        if len(pictures) == 1 and "image_data" in cls.model_fields:
            return {"image_data": pictures[0]}
        if pictures and "images" in cls.model_fields:
            return {"images": list(pictures)}
        if pictures:
            raise InvalidRequest(f"{len(pictures)} images were found; one is accepted")
        return {}


class PictureByUrl(BaseModel):
    """A model with its picture in `image_data`, or at `image_url`, from where it is fetched before the route runs."""

    image_data: Picture | None = None
    image_url: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="instead of `image_data`: an http or https URL, which LARDER_IMAGE_URLS has to allow"
    )

    @model_validator(mode="after")
    def _url_or_data(self) -> "PictureByUrl":
        """Accept a URL in place of a picture, which is empty until fetched; a data URI is a picture already."""
        if self.image_url is None:
            return self
        if self.image_data:
            raise ValueError("send image_data or image_url, not both")
        self.image_data = b""
        if self.image_url[:5].lower() == "data:":
            self.image_data, self.image_url = self.image_url, None
        return self


def _picture_at(url: Any) -> PictureByUrl:
    if not isinstance(url, str) or not url:
        raise ValueError("a URL is needed")
    return PictureByUrl(image_url=url)


ImageUrl = Annotated[Any, PlainValidator(_picture_at, json_schema_input_type=Annotated[str, Field(min_length=1)])]
"""A URL in a list, which becomes a PictureByUrl. Any: FastAPI would list the model in the OpenAPI document."""


def pictures_by_url(value: Any) -> Iterator[PictureByUrl]:
    """Find the pictures that are not fetched yet in a request, or in a list within it."""
    inside: Iterable[Any] = value if isinstance(value, list) else ()
    if isinstance(value, BaseModel):
        inside = value.__dict__.values()
        if isinstance(value, PictureByUrl) and value.image_url is not None:
            yield value
    for each in inside:
        yield from pictures_by_url(each)


_DESCRIBING = ("title", "description", "default", "examples")
_MOST_UNKNOWN = 3  # unknown fields that are reported one by one


class Request(NullIsAbsent):
    """Refuse unknown fields, and never convert a wrong type into the right one."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_unknown_fields(cls, body: Any) -> Any:
        """Refuse many unknown fields with one error: pydantic makes an error for each."""
        if isinstance(body, dict) and len(body) > _MOST_UNKNOWN:
            known = {field.alias or name for name, field in cls.model_fields.items()}
            unknown = [name for name in body if name not in known]
            if len(unknown) > _MOST_UNKNOWN:
                first = ", ".join(name[:100] for name in unknown[:_MOST_UNKNOWN])
                raise ValueError(f"{len(unknown):,} unknown fields: {first}, ...")
        return body


class Foreign(NullIsAbsent):
    """A schema defined by others: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def needs_one_of(*names: str) -> Callable[[Any], Any]:
    """Return a validator that runs first, so that the error for a misspelt field lists the right names.

    >>> needs_one_of("text", "id")({"txt": "a"})
    Traceback (most recent call last):
    ValueError: one of text, id is needed; found: txt
    """

    def check(body: Any) -> Any:
        if isinstance(body, dict) and all(body.get(name) is None for name in names):
            found = ", ".join(name[:100] for name in list(body)[:10])[:100] or "no field"
            raise ValueError(f"one of {', '.join(names)} is needed; found: {found}")
        return body

    return check


class ErrorBody(BaseModel):
    """An error: a code for programs, a message for people."""

    code: str
    message: str
    request_id: str


class Error(BaseModel):
    """An error response."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "code": "invalid_image",
                        "message": "the bytes are not a picture; send one of JPEG, PNG, WEBP, GIF, BMP, HEIC, AVIF",
                        "request_id": "5f0c1c0e4b7d4a53a2c3f6d0e8b9a7c1",
                    },
                    "detail": "the bytes are not a picture; send one of JPEG, PNG, WEBP, GIF, BMP, HEIC, AVIF",
                }
            ]
        }
    )

    error: ErrorBody
    detail: str
