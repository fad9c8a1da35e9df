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

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. Every call may be sent twice: what changes counts carries a key by which the service knows it."""

    method: str
    path: str
    read: Callable[[Any], T]
    body: dict[str, Any] | None = None
    key: str | None = None
    also: tuple[int, ...] = ()
    """Statuses beside 200 and its like whose body is an answer too."""


def health() -> Call[Health]:
    """`GET /`, which answers in the same form with 503."""
    return Call("GET", "/", lambda data: read(Health, data), also=(503,))


def labels() -> Call[list[Label]]:
    """`GET /labels`."""
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
    """`POST /process-image`."""
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
    """`POST /process-image` with frames of one thing."""
    images = [as_base64(picture, shrink) for picture in pictures]
    body: dict[str, Any] = {"images": images, "top_k": top_k, "threshold": threshold}
    if update:
        body["pantry_update"] = {"operation": update, "quantity": quantity}
    return Call("POST", "/process-image", recognition, body, _new_key() if update else None)


def search(
    picture: Picture,
    *,
    threshold: float = 0.8,
    update: Literal["add", "remove"] | None = None,
    quantity: int = 1,
) -> Call[list[Found]]:
    """`POST /process-image` with tiles; the picture is sent as large as it is, for things in it may be small."""
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
    """`POST /classify`."""
    body = {
        "image_data": as_base64(picture, shrink),
        "labels": dict(labels) if isinstance(labels, Mapping) else list(labels),
        "template": template,
        "mode": mode,
        "none_of_these": none_of_these,
        "threshold": threshold,
    }
    return Call("POST", "/classify", lambda data: read(Classification, data), body)


def items() -> Call[list[Item]]:
    """`GET /pantry`."""
    return Call("GET", "/pantry", lambda data: [read(Item, each) for each in data["items"]])


def item(name: str) -> Call[Item]:
    """`GET /pantry/{item}`."""
    return Call("GET", _path(name), lambda data: read(Item, data))


def set_count(name: str, count: int) -> Call[Item]:
    """`PUT /pantry/{item}`."""
    return Call("PUT", _path(name), lambda data: read(Item, data), {"count": count}, _new_key())


def add(name: str, quantity: int) -> Call[Item]:
    """`POST /pantry/{item}/add`."""
    return Call("POST", _path(name) + "/add", lambda data: read(Item, data), {"quantity": quantity}, _new_key())


def remove(name: str, quantity: int) -> Call[RemovedItem]:
    """`POST /pantry/{item}/remove`."""
    body = {"quantity": quantity}
    return Call("POST", _path(name) + "/remove", lambda data: read(RemovedItem, data), body, _new_key())


def delete(name: str) -> Call[None]:
    """`DELETE /pantry/{item}`."""
    return Call("DELETE", _path(name), lambda _: None, key=_new_key())


def teach(name: str, pictures: Sequence[Picture], *, shrink: bool = True) -> Call[list[Example]]:
    """`POST /pantry/{item}/examples`."""
    body = {"images": [as_base64(picture, shrink) for picture in pictures]}
    return Call("POST", _path(name) + "/examples", examples, body)


def taught(name: str) -> Call[list[Example]]:
    """`GET /pantry/{item}/examples`."""
    return Call("GET", _path(name) + "/examples", examples)


def forget(name: str, id: str | None = None) -> Call[int]:
    """`DELETE /pantry/{item}/examples`, or of one example."""
    one = "" if id is None else f"/{quote(id, safe='')}"
    return Call("DELETE", f"{_path(name)}/examples{one}", lambda data: int(data["deleted"]))


def _path(name: str) -> str:
    return f"/pantry/{quote(name, safe='')}"


def _new_key() -> str:
    return uuid.uuid4().hex
