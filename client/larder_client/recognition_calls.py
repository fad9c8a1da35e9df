"""Recognition calls."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from larder_client.answers import Classification, Found, Recognition, Region, found, read, recognition, regions
from larder_client.calls import Call, new_key
from larder_client.pictures import Picture, as_field, as_file

T = TypeVar("T")
Update = Literal["add", "remove"]


def recognise(
    picture: Picture,
    *,
    top_k: int = 5,
    threshold: float = 0.8,
    update: Update | None = None,
    quantity: int = 1,
    shrink: bool = True,
    barcodes: bool = False,
) -> Call[Recognition]:
    """Recognise a picture among the live labels (`POST /process-image`).

    `update` changes the pantry's count if the answer is sure. `barcodes` also reads EAN, UPC and QR codes; one with an
    item decides. The picture is then sent at full size.
    """
    body = as_field(picture, shrink and not barcodes) | {"top_k": top_k, "threshold": threshold}
    body |= {"barcodes": True} if barcodes else {}
    return _process(recognition, body, update, quantity)


def recognise_frames(
    pictures: Sequence[Picture],
    *,
    top_k: int = 5,
    threshold: float = 0.8,
    update: Update | None = None,
    quantity: int = 1,
    shrink: bool = True,
) -> Call[Recognition]:
    """Recognise 2 to 16 frames of one thing (`POST /process-image` with `images`); `frames` tells their agreement."""
    images = [as_file(picture, shrink) for picture in pictures]
    return _process(recognition, {"images": images, "top_k": top_k, "threshold": threshold}, update, quantity)


def recognise_regions(
    picture: Picture,
    boxes: Sequence[Sequence[int]],
    *,
    top_k: int = 5,
    threshold: float = 0.8,
    update: Update | None = None,
    quantity: int = 1,
) -> Call[list[Region]]:
    """Recognise 1 to 32 boxes of a picture separately (`POST /process-image` with `regions`).

    A box is left, top, right and bottom in pixels of the upright picture, which is sent at full size.
    """
    body = as_field(picture, False) | {
        "regions": [list(box) for box in boxes],
        "top_k": top_k,
        "threshold": threshold,
    }
    return _process(regions, body, update, quantity)


def recognise_shelf(
    picture: Picture,
    *,
    threshold: float = 0.8,
    update: Update | None = None,
    quantity: int = 1,
) -> Call[list[Found]]:
    """Recognise the things in a picture of several (`POST /process-image` with `tiles`); `update` counts each.

    The picture is sent at full size, because things in it may be small.
    """
    body = as_field(picture, False) | {"tiles": "auto", "threshold": threshold}
    return _process(found, body, update, quantity)


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
    """Classify a picture among your own labels (`POST /classify`); returns their probabilities.

    With a map from label to category, also those of the categories.
    """
    body = as_field(picture, shrink) | {
        "labels": dict(labels) if isinstance(labels, Mapping) else list(labels),
        "template": template,
        "mode": mode,
        "none_of_these": none_of_these,
        "threshold": threshold,
    }
    return Call("POST", "/classify", lambda data: read(Classification, data), body)


def _process(read: Callable[[Any], T], body: dict[str, Any], update: Update | None, quantity: int) -> Call[T]:
    if not update:
        return Call("POST", "/process-image", read, body)
    change = {"pantry_update": {"operation": update, "quantity": quantity}}
    return Call("POST", "/process-image", read, body | change, new_key())
