"""Request bodies by media type: JSON, a raw picture, or multipart/form-data, all for one request model."""

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, wraps
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from app.api.forms import parse_header, read_form
from app.api.schemas.base import TakesPictures, pictures_by_url
from app.errors import InvalidRequest
from app.images.header import looks_like_picture

MAX_ELEMENTS = 10_000  # of a JSON body without its labels: as keys of metadata they take 40 ms of the event loop
MAX_DEPTH = 1000  # nesting of lists and objects; Python's parser allows no more
MAX_OUTSIDE_STRINGS = 512 * 1024  # bytes outside JSON strings: integers of 4,299 digits take 20 us a kilobyte

Model = type[TakesPictures]


class PictureRoute(APIRoute):
    """A route whose request model may come as JSON, as a raw picture with query parameters, or as multipart/form-data.

    Routes whose `body` is not a TakesPictures are unchanged.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        hint = get_type_hints(endpoint).get("body")
        self._model: Model | None = hint if isinstance(hint, type) and issubclass(hint, TakesPictures) else None
        if self._model:
            options["openapi_extra"] = describe_media_types(self._model)
            endpoint = _with_fetched_pictures(endpoint)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Return FastAPI's own handler, behind the reader of bodies that are not JSON."""
        handle, model = super().get_route_handler(), self._model
        if model is None:
            return handle

        async def read_and_handle(request: Request) -> Response:
            fields = await read_fields(request, model)
            return await handle(request if fields is None else _ParsedRequest(request, fields))

        return read_and_handle


def _with_fetched_pictures(endpoint: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap a handler so that the request's pictures at URLs are fetched first."""

    @wraps(endpoint)
    async def handle(**values: Any) -> Any:
        found = list(pictures_by_url(values["body"]))
        if not found:
            return await endpoint(**values)
        async with values["service"].image_fetcher.fetch([each.image_url for each in found]) as pictures:
            for each, picture in zip(found, pictures, strict=True):
                each.image_data = picture
            return await endpoint(**values)

    return handle


class _ParsedRequest(Request):
    """A request that presents its fields as if they were JSON; pictures are bytes."""

    def __init__(self, request: Request, fields: Any) -> None:
        headers = [header for header in request.scope["headers"] if header[0] != b"content-type"]
        json_type = (b"content-type", b"application/json")
        super().__init__({**request.scope, "headers": [json_type, *headers]}, request.receive)
        self._fields = fields

    async def body(self) -> bytes:
        return b"{}"  # not empty, so that FastAPI requests the JSON

    async def json(self) -> Any:
        return self._fields


async def read_fields(request: Request, model: Model) -> Any:
    """Return the fields of a body that is a picture, multipart/form-data or JSON, None for any other.

    Raises InvalidRequest.
    """
    body = await request.body()
    media_type, parameters = parse_header(request.headers.get("content-type", ""))
    options = request.query_params.multi_items()
    if media_type == b"multipart/form-data":
        pictures, sent = read_form(body, parameters.get(b"boundary", b""))
        options += sent
    elif looks_like_picture(body) or (media_type == b"application/octet-stream" or media_type.startswith(b"image/")):
        pictures = [body]
    elif media_type == b"application/json":
        return _fast_json(body)
    else:
        return None
    most = max_elements(request.state.service.limits.most)
    return model.of_pictures(pictures) | read_options(options, model, most)


def _fast_json(body: bytes) -> Any:
    """Parse JSON in a tenth of the time of `json.loads`; None leaves parsing, or refusing, to FastAPI."""
    try:
        return from_json(body)
    except ValueError:
        return None


def read_options(options: Sequence[tuple[str, str]], model: Model, most: int = MAX_ELEMENTS) -> dict[str, Any]:
    """Convert query parameters or form fields to JSON values: texts unchanged, everything else parsed.

    A list may be sent as one JSON value, or value by value. Raises InvalidRequest, also for JSON values with more than
    `most` elements in total.
    """
    texts: dict[str, list[str]] = {}
    for name, text in options:
        texts.setdefault(name, []).append(text)
    schema = _schema(model)
    fields: dict[str, Any] = {}
    unparsed = []
    for name, several in texts.items():
        forms = _forms(schema["properties"].get(name, {"type": "string"}), schema)
        if len(several) > 1:
            forms = [item for form in forms if "items" in form for item in _forms(form["items"], schema)]
            if not forms:
                raise InvalidRequest(f"{name[:100]}: {len(several)} values were found; one is accepted")
        fields[name] = several if len(several) > 1 else several[0]
        if not any(form.get("type") == "string" for form in forms):
            unparsed.append(name)
    check_structure("json", ",".join(text for name in unparsed for text in texts[name]).encode(), most)
    for name in unparsed:
        values = [_parsed(name, text) for text in texts[name]]
        fields[name] = values if len(values) > 1 else values[0]
    return fields


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise InvalidRequest(f"{name[:100]}: the JSON is nested too deep") from error
    except ValueError:
        return text  # validation reports what is accepted


@cache
def _schema(model: Model) -> dict[str, Any]:
    return model.model_json_schema()


def _forms(field: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives of a field's JSON schema, with references resolved."""
    if "$ref" in field:
        return _forms(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    inner = field.get("anyOf") or field.get("oneOf")
    return [form for each in inner for form in _forms(each, schema)] if inner else [field]


def describe_media_types(model: Model) -> dict[str, Any]:
    """Return the OpenAPI description of a request model's other media types: raw pictures, query and form fields."""
    schema = _schema(model)
    binary = {"type": "string", "format": "binary"}
    options = [name for name in schema["properties"] if name not in model.picture_fields]
    reference = f"#/components/schemas/{model.__name__}/properties/"
    form = {name: {"$ref": reference + name} for name in options}
    files = {"image": binary, "images": {"type": "array", "items": binary}}
    multipart = {"schema": {"type": "object", "properties": files | form}}
    return {
        "requestBody": {
            "content": {"image/*": {"schema": binary}, "application/octet-stream": {"schema": binary}}
            | {"multipart/form-data": multipart}
        },
        "parameters": [_parameter(name, schema, reference + name) for name in options],
    }


def _parameter(name: str, schema: dict[str, Any], reference: str) -> dict[str, Any]:
    plain = all(_is_plain(form) for form in _forms(schema["properties"][name], schema))
    shape = {"schema": {"$ref": reference}}
    about = {"name": name, "in": "query", "required": False, "description": "with an image as the body"}
    return about | (shape if plain else {"content": {"application/json": shape}})


def _is_plain(form: dict[str, Any]) -> bool:
    """Return whether a query parameter can have this form without JSON: a scalar, or a list of scalars."""
    inner = form["items"] if form.get("type") == "array" else form
    return inner.get("type") not in ("array", "object", None)


def max_elements(max_labels: int) -> int:
    """Return the maximum number of elements in the lists and objects of a body."""
    return MAX_ELEMENTS + 4 * max_labels


def check_structure(content_type: str, body: bytes, most: int = MAX_ELEMENTS) -> None:
    """Raise InvalidRequest for a JSON body whose parsing and validation would block the event loop."""
    if "json" not in content_type.lower():
        return
    if b"\0" in body:  # the parser would take it for UTF-16, which the counts below do not handle
        raise InvalidRequest("invalid JSON: a NUL was found; send UTF-8")
    if len(body) <= MAX_OUTSIDE_STRINGS and body.count(b",") < most and body.count(b'"') <= most:
        return  # most bodies: counting takes a fifth of the time
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")  # every remaining quote begins or ends a string
    most_strings = 2 * most + MAX_DEPTH  # a comma has at most two beside it, and an object in an object needs none
    outside = body.split(b'"', 2 * most_strings)[::2]
    if len(outside) > most_strings or sum(part.count(b",") for part in outside) >= most:
        raise InvalidRequest(f"the JSON body has too many elements: at most {most:,} are accepted")
    if sum(map(len, outside)) > MAX_OUTSIDE_STRINGS:
        raise InvalidRequest(
            f"the JSON body has too much beside its strings: at most {MAX_OUTSIDE_STRINGS:,} bytes are accepted"
        )
