"""The request of each call and the parser of its answer, independent of the transport."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

from larder_client.answers import (
    Change,
    Changes,
    Health,
    Item,
    Label,
    RemovedItem,
    TiedBarcode,
    TiedBarcodes,
    changes,
    read,
    tied_barcodes,
)
from larder_client.errors import InvalidRequest
from larder_client.pictures import Picture, as_file
from larder_client.vectors import Vectors, vectors

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. Every call may be retried: those that change counts carry an Idempotency-Key."""

    method: str
    path: str
    read: Callable[[Any], T]
    """Parses the answer: JSON, or bytes if `media` says so."""
    body: dict[str, Any] | None = None
    """The fields as JSON; a picture, or each of a list of pictures, may be bytes."""
    key: str | None = None
    also: tuple[int, ...] = ()
    """Statuses other than 2xx whose body is also an answer."""
    media: str = "application/json"
    """The media type of the answer."""
    gone: Callable[[], T] | None = None
    """Makes the answer of a retry that finds nothing because the first attempt deleted it."""


def health() -> Call[Health]:
    """Return the readiness of the service (`GET /`); not being ready is an answer here, not an error."""
    return Call("GET", "/", lambda data: read(Health, data), also=(503,))


def metrics() -> Call[str]:
    """Return the service's metrics in Prometheus' text format (`GET /metrics`)."""
    return Call("GET", "/metrics", bytes.decode, media="text/plain")


def labels() -> Call[list[Label]]:
    """Return the merged label set (`GET /labels`)."""
    return Call("GET", "/labels", lambda data: [read(Label, each) for each in data["labels"]])


def embed_texts(texts: Sequence[str]) -> Call[Vectors]:
    """Return the unit embeddings (N, D) of texts (`POST /v1/embeddings`)."""
    return _embed(list(texts), "text")


def embed_pictures(pictures: Sequence[Picture], *, shrink: bool = True) -> Call[Vectors]:
    """Return the unit embeddings (N, D) of pictures (`POST /v1/embeddings`)."""
    return _embed([as_file(picture, shrink) for picture in pictures], "image")


def items() -> Call[list[Item]]:
    """Return all items of the pantry (`GET /pantry`)."""
    return Call("GET", "/pantry", lambda data: [read(Item, each) for each in data["items"]])


def item(name: str) -> Call[Item]:
    """Return one item of the pantry (`GET /pantry/{item}`)."""
    return Call("GET", item_path(name), lambda data: read(Item, data))


def set_count(name: str, count: int) -> Call[Item]:
    """Set an item's count (`PUT /pantry/{item}`)."""
    return Call("PUT", item_path(name), lambda data: read(Item, data), {"count": count}, new_key())


def add(name: str, quantity: int = 1) -> Call[Item]:
    """Add to an item's count (`POST /pantry/{item}/add`)."""
    return Call("POST", item_path(name) + "/add", lambda data: read(Item, data), {"quantity": quantity}, new_key())


def remove(name: str, quantity: int = 1) -> Call[RemovedItem]:
    """Subtract from an item's count, which never goes below 0 (`POST /pantry/{item}/remove`)."""
    body = {"quantity": quantity}
    return Call("POST", item_path(name) + "/remove", lambda data: read(RemovedItem, data), body, new_key())


def delete(name: str) -> Call[None]:
    """Remove an item from the pantry (`DELETE /pantry/{item}`)."""
    return Call("DELETE", item_path(name), lambda _: None, key=new_key())


def journal(item: str | None = None, *, cursor: str | None = None, limit: int = 100) -> Call[Changes]:
    """Return a page of changes of counts, of one item or all, newest first (`GET /journal`)."""
    query = {"limit": limit} | {name: each for name, each in (("item", item), ("cursor", cursor)) if each is not None}
    return Call("GET", f"/journal?{urlencode(query)}", changes)


def undo(id: str) -> Call[Change]:
    """Undo a change of the journal, and return the change that this made (`POST /journal/{id}/undo`).

    Raises Conflict if it was undone before, or the current count does not allow it.
    """
    return Call("POST", f"/journal/{part(id)}/undo", lambda data: read(Change, data), key=new_key())


def barcodes(*, cursor: str | None = None, limit: int = 1000) -> Call[TiedBarcodes]:
    """Return a page of codes with their items, by code (`GET /barcodes`)."""
    query = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
    return Call("GET", f"/barcodes?{urlencode(query)}", tied_barcodes)


def barcode(code: str) -> Call[TiedBarcode]:
    """Return the item of a code (`GET /barcodes/{code}`)."""
    return Call("GET", f"/barcodes/{part(code)}", lambda data: read(TiedBarcode, data))


def tie_barcode(code: str, item: str) -> Call[TiedBarcode]:
    """Assign an EAN, a UPC or a QR code's text to an item (`PUT /barcodes/{code}`)."""
    return Call("PUT", f"/barcodes/{part(code)}", lambda data: read(TiedBarcode, data), {"item": item})


def untie_barcode(code: str) -> Call[None]:
    """Remove a code's item; the item itself stays (`DELETE /barcodes/{code}`)."""
    return Call("DELETE", f"/barcodes/{part(code)}", lambda _: None, gone=lambda: None)


def _embed(inputs: list[str] | list[bytes], modality: Literal["text", "image"]) -> Call[Vectors]:
    body = {"input": inputs, "modality": modality, "encoding_format": "base64"}
    return Call("POST", "/v1/embeddings", lambda data: vectors(each["embedding"] for each in data["data"]), body)


def part(text: str) -> str:
    """Encode a text as one segment of a path; a segment of only dots would be resolved as `.` or `..`.

    Raises InvalidRequest for a lone surrogate.
    """
    try:
        return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{text!r} contains a lone surrogate, which no URL can hold") from error


def item_path(name: str) -> str:
    """Return the path of an item."""
    return f"/pantry/{part(name)}"


def new_key() -> str:
    """Return a new Idempotency-Key: the service applies a change with it once, however often it is sent."""
    return uuid.uuid4().hex
