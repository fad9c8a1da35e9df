"""Request bodies by media type: JSON, a picture as it is, or multipart/form-data, all to one request model."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, wraps
from itertools import islice
from typing import Any, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.bodies import MAX_ELEMENTS, check_structure, max_elements
from app.api.schemas.base import TakesPictures, pictures_by_url
from app.errors import InvalidRequest
from app.images.header import looks_like_picture

MAX_PARTS = 64  # of a multipart body; the calls take 32 pictures at most
MAX_BOUNDARY = 70  # characters: RFC 2046, section 5.1.1
_BINARY = {"", "7bit", "8bit", "binary"}  # Content-Transfer-Encoding, RFC 7578, section 4.7
_FILES = ("image", "images")

Model = type[TakesPictures]


class PictureRoute(APIRoute):
    """A route whose request model may come as JSON, as a raw picture with query parameters, or as multipart/form-data.

    Routes whose `body` is no TakesPictures are as any other.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        hint = get_type_hints(endpoint).get("body")
        self._model: Model | None = hint if isinstance(hint, type) and issubclass(hint, TakesPictures) else None
        if self._model:
            options["openapi_extra"] = describe_media_types(self._model)
            endpoint = _with_fetched_pictures(endpoint)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Return FastAPI's own handler, behind the reader of bodies that are no JSON."""
        handle, model = super().get_route_handler(), self._model
        if model is None:
            return handle

        async def read_and_handle(request: Request) -> Response:
            fields = await read_fields(request, model)
            return await handle(request if fields is None else _ParsedRequest(request, fields))

        return read_and_handle


def _with_fetched_pictures(endpoint: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap a handler so that the pictures of its request that are at URLs are fetched first."""

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
    """A request as if its fields had come as JSON, which they may not have: a picture is bytes."""

    def __init__(self, request: Request, fields: dict[str, Any]) -> None:
        headers = [header for header in request.scope["headers"] if header[0] != b"content-type"]
        json_type = (b"content-type", b"application/json")
        super().__init__({**request.scope, "headers": [json_type, *headers]}, request.receive)
        self._fields = fields

    async def body(self) -> bytes:
        return b"{}"  # not empty, so that FastAPI asks for its JSON

    async def json(self) -> dict[str, Any]:
        return self._fields


async def read_fields(request: Request, model: Model) -> dict[str, Any] | None:
    """Return the fields of a body that is a picture or multipart/form-data, None for any other.

    Raises InvalidRequest.
    """
    body = await request.body()
    media_type, parameters = parse_options_header(request.headers.get("content-type"))
    options = request.query_params.multi_items()
    if media_type == b"multipart/form-data":
        pictures, sent = read_form(body, parameters.get(b"boundary", b""))
        options += sent
    elif looks_like_picture(body) or (media_type == b"application/octet-stream" or media_type.startswith(b"image/")):
        pictures = [body]
    else:
        return None
    most = max_elements(request.state.service.limits.most)
    return model.of_pictures(pictures) | read_options(options, model, most)


def read_form(body: bytes, boundary: bytes) -> tuple[list[bytes], list[tuple[str, str]]]:
    """Return the pictures of a multipart/form-data body (files `image` or `images`), and its other fields as texts.

    Raises InvalidRequest.
    """
    pictures, fields = [], []
    for name, is_file, data in _parts(body, boundary):
        if name in _FILES:
            if data or not is_file:  # browsers send an empty file where none was chosen
                pictures.append(data)
        elif is_file:
            raise InvalidRequest(f"the file {name[:100]!r} was found; files are called image, or images")
        else:
            try:
                fields.append((name, data.decode()))
            except UnicodeDecodeError as error:
                raise InvalidRequest(f"{name[:100]}: the form field is not a text in UTF-8") from error
    return pictures, fields


def _parts(body: bytes, boundary: bytes) -> list[tuple[str, bool, bytes]]:
    """Return each part of a multipart body: its name, whether it is a file, and its bytes. Raises InvalidRequest."""
    _check_delimiters(body, boundary)
    parts: list[tuple[dict[bytes, bytes], bytes]] = []
    header: list[bytes] = []
    complete = False

    def part_begin() -> None:
        parts.append(({}, b""))

    def header_piece(data: bytes, start: int, end: int) -> None:
        header.append(data[start:end])

    def header_end() -> None:
        name, *value = header
        parts[-1][0][name.strip().lower()] = b"".join(value).strip()
        header.clear()

    def part_data(data: bytes, start: int, end: int) -> None:
        parts[-1] = parts[-1][0], parts[-1][1] + data[start:end]  # once a part: the whole body is parsed in one piece

    def end() -> None:
        nonlocal complete
        complete = True

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": part_begin,
            "on_header_field": header_piece,
            "on_header_value": header_piece,
            "on_header_end": header_end,
            "on_part_data": part_data,
            "on_end": end,
        },
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise InvalidRequest(f"the body is not multipart/form-data: {error}") from error
    if not complete:
        raise InvalidRequest("the multipart body is cut short: its last boundary is missing")
    return [_named(headers, data) for headers, data in parts]


def _check_delimiters(body: bytes, boundary: bytes) -> None:
    """Check the boundary and count the parts before the parser runs, which takes a microsecond for each byte of both.

    Raises InvalidRequest.
    """
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise InvalidRequest(f"multipart/form-data needs a boundary of 1 to {MAX_BOUNDARY} characters")
    delimiter = re.compile(rb"(?:^|\r\n)--" + re.escape(boundary) + rb"(\r\n|--)?")
    found = list(islice(delimiter.finditer(body), MAX_PARTS + 2))
    if len(found) > MAX_PARTS + 1:
        raise InvalidRequest(f"the multipart body has more than {MAX_PARTS} parts, the most that are accepted")
    if any(each[1] is None for each in found):
        raise InvalidRequest("the body is not multipart/form-data: a boundary is not followed by a line break")


def _named(headers: dict[bytes, bytes], data: bytes) -> tuple[str, bool, bytes]:
    """Return a part's name, whether it is a file, and its bytes; raises InvalidRequest for one without a name."""
    disposition, parameters = parse_options_header(headers.get(b"content-disposition"))
    name = parameters.get(b"name", b"").decode("utf-8", "replace")
    if disposition != b"form-data" or not name:
        raise InvalidRequest("a part of the multipart body has no Content-Disposition: form-data with a name")
    coding = headers.get(b"content-transfer-encoding", b"").decode("latin-1").lower()
    if coding not in _BINARY:
        raise InvalidRequest(f"{name[:100]}: Content-Transfer-Encoding: {coding[:100]!r} is not accepted; send bytes")
    return name, b"filename" in parameters, data


def read_options(options: Sequence[tuple[str, str]], model: Model, most: int = MAX_ELEMENTS) -> dict[str, Any]:
    """Return query parameters or form fields as JSON would have them: texts word for word, everything else parsed.

    A list may be sent as one JSON value, or value by value. Raises InvalidRequest, also for JSON values that have more
    than `most` elements together.
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
        return text  # validation says what is accepted


@cache
def _schema(model: Model) -> dict[str, Any]:
    return model.model_json_schema()


def _forms(field: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives of a field's JSON schema, references resolved."""
    if "$ref" in field:
        return _forms(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    inner = field.get("anyOf") or field.get("oneOf")
    return [form for each in inner for form in _forms(each, schema)] if inner else [field]


def describe_media_types(model: Model) -> dict[str, Any]:
    """Return what the OpenAPI document says of a request model beside its JSON: raw pictures, query and form fields."""
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
    """Return whether a query parameter has this form without being JSON: a scalar, or a list of scalars."""
    inner = form["items"] if form.get("type") == "array" else form
    return inner.get("type") not in ("array", "object", None)
