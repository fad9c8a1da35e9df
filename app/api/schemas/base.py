"""What all request and response schemas share: absent fields, unknown fields, aliases, the error."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Picture = Annotated[str, Field(min_length=1, description="in base64, with or without a `data:` prefix")]


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


def needs_one_of(*names: str) -> Callable[[Any], Any]:
    """Make a validator that runs first, so that the error for a misspelt field lists the right names.

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
