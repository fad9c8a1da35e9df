"""What each call sends, and how its answer is read; how it travels is not said here."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from larder_client.answers import (
    Classification,
    Example,
    Found,
    Health,
    Item,
    Label,
    Recognition,
    RemovedItem,
    examples,
    found,
    read,
    recognition,
)
from larder_client.pictures import Picture, as_base64
from larder_client.vectors import Vectors, vectors

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. Every call may be sent twice: what changes counts carries a key by which the service knows it."""

    method: str
    path: str
    read: Callable[[Any], T]
    """Makes the answer of JSON; of bytes, where `media` says so."""
    body: dict[str, Any] | None = None
    key: str | None = None
    also: tuple[int, ...] = ()
    """Statuses beside 200 and its like whose body is an answer too."""
    media: str = "application/json"
    """The media type of the answer."""
    gone: Callable[[], T] | None = None
    """Makes the answer where the call is sent again and finds nothing: the try before has deleted it."""


def health() -> Call[Health]:
    """How the service is (`GET /`); one that is not ready is no error here."""
    return Call("GET", "/", lambda data: read(Health, data), also=(503,))


def metrics() -> Call[str]:
    """The service's numbers in Prometheus' text form (`GET /metrics`)."""
    return Call("GET", "/metrics", bytes.decode, media="text/plain")


def labels() -> Call[list[Label]]:
    """The merged label set (`GET /labels`)."""
    return Call("GET", "/labels", lambda data: [read(Label, each) for each in data["labels"]])


def recognise(
    picture: Picture,
    *,
    top_k: int = 5,
    threshold: float = 0.8,
    update: Literal["add", "remove"] | None = None,
    quantity: int = 1,
    shrink: bool = True,
) -> Call[Recognition]:
    """What a picture shows among the live labels (`POST /process-image`).

    `update` has the pantry's count changed when that is sure.
    """
    body: dict[str, Any] = {"image_data": as_base64(picture, shrink), "top_k": top_k, "threshold": threshold}
    if update:
        body["pantry_update"] = {"operation": update, "quantity": quantity}
    return Call("POST", "/process-image", recognition, body, _new_key() if update else None)


def recognise_frames(
    pictures: Sequence[Picture],
    *,
    top_k: int = 5,
    threshold: float = 0.8,
    update: Literal["add", "remove"] | None = None,
    quantity: int = 1,
    shrink: bool = True,
) -> Call[Recognition]:
    """What 2 to 16 frames of one thing show (`POST /process-image` with `images`); `frames` says how far they agree."""
    images = [as_base64(picture, shrink) for picture in pictures]
    body: dict[str, Any] = {"images": images, "top_k": top_k, "threshold": threshold}
    if update:
        body["pantry_update"] = {"operation": update, "quantity": quantity}
    return Call("POST", "/process-image", recognition, body, _new_key() if update else None)


def recognise_shelf(
    picture: Picture,
    *,
    threshold: float = 0.8,
    update: Literal["add", "remove"] | None = None,
    quantity: int = 1,
) -> Call[list[Found]]:
    """The things in one picture of several (`POST /process-image` with `tiles`); `update` counts each.

    The picture is sent as large as it is, for things in it may be small.
    """
    body: dict[str, Any] = {"image_data": as_base64(picture, False), "tiles": "auto", "threshold": threshold}
    if update:
        body["pantry_update"] = {"operation": update, "quantity": quantity}
    return Call("POST", "/process-image", found, body, _new_key() if update else None)


def classify(
    picture: Picture,
    labels: Sequence[str] | Mapping[str, str],
    *,
    template: str | None = None,
    mode: Literal["exclusive", "independent"] = "exclusive",
    none_of_these: bool = False,
    threshold: float = 0.8,
    shrink: bool = True,
) -> Call[Classification]:
    """How probable each of your own labels is (`POST /classify`).

    A map from label to category answers for categories too.
    """
    body = {
        "image_data": as_base64(picture, shrink),
        "labels": dict(labels) if isinstance(labels, Mapping) else list(labels),
        "template": template,
        "mode": mode,
        "none_of_these": none_of_these,
        "threshold": threshold,
    }
    return Call("POST", "/classify", lambda data: read(Classification, data), body)


def embed_texts(texts: Sequence[str]) -> Call[Vectors]:
    """The unit vectors (N, D) of texts (`POST /v1/embeddings`)."""
    return _embed(list(texts), "text")


def embed_pictures(pictures: Sequence[Picture], *, shrink: bool = True) -> Call[Vectors]:
    """The unit vectors (N, D) of pictures (`POST /v1/embeddings`)."""
    return _embed([as_base64(picture, shrink) for picture in pictures], "image")


def items() -> Call[list[Item]]:
    """All items of the pantry (`GET /pantry`)."""
    return Call("GET", "/pantry", lambda data: [read(Item, each) for each in data["items"]])


def item(name: str) -> Call[Item]:
    """One item of the pantry (`GET /pantry/{item}`)."""
    return Call("GET", _path(name), lambda data: read(Item, data))


def set_count(name: str, count: int) -> Call[Item]:
    """Set an item's count (`PUT /pantry/{item}`)."""
    return Call("PUT", _path(name), lambda data: read(Item, data), {"count": count}, _new_key())


def add(name: str, quantity: int = 1) -> Call[Item]:
    """Add to an item's count (`POST /pantry/{item}/add`)."""
    return Call("POST", _path(name) + "/add", lambda data: read(Item, data), {"quantity": quantity}, _new_key())


def remove(name: str, quantity: int = 1) -> Call[RemovedItem]:
    """Take from an item's count, which never goes below 0 (`POST /pantry/{item}/remove`)."""
    body = {"quantity": quantity}
    return Call("POST", _path(name) + "/remove", lambda data: read(RemovedItem, data), body, _new_key())


def delete(name: str) -> Call[None]:
    """Remove an item from the pantry (`DELETE /pantry/{item}`)."""
    return Call("DELETE", _path(name), lambda _: None, key=_new_key())


def _embed(inputs: list[str], modality: Literal["text", "image"]) -> Call[Vectors]:
    body = {"input": inputs, "modality": modality, "encoding_format": "base64"}
    return Call("POST", "/v1/embeddings", lambda data: vectors(each["embedding"] for each in data["data"]), body)


def part(text: str) -> str:
    """Any text as one part of a path; one of dots alone would be taken for a step in it."""
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def teach(name: str, pictures: Sequence[Picture], *, shrink: bool = True) -> Call[list[Example]]:
    """Teach an item by 1 to 32 pictures of it (`POST /pantry/{item}/examples`); what speaks against each is said."""
    body = {"images": [as_base64(picture, shrink) for picture in pictures]}
    return Call("POST", _path(name) + "/examples", examples, body)


def taught(name: str) -> Call[list[Example]]:
    """The examples of an item (`GET /pantry/{item}/examples`)."""
    return Call("GET", _path(name) + "/examples", examples)


def forget(name: str, id: str | None = None) -> Call[int]:
    """Delete an item's examples, or one of them (`DELETE /pantry/{item}/examples`); how many were deleted."""
    one, gone = ("", None) if id is None else (f"/{part(id)}", lambda: 1)
    return Call("DELETE", f"{_path(name)}/examples{one}", lambda data: int(data["deleted"]), gone=gone)


def _path(name: str) -> str:
    return f"/pantry/{part(name)}"


def _new_key() -> str:
    return uuid.uuid4().hex
