"""Few-shot calls: examples of items, and feedback on answers."""

from collections.abc import Sequence

from larder_client.answers import Correction, Example, ExamplesReport, Labelled, Review, correction, examples, labelled
from larder_client.answers import examples_report as read_report
from larder_client.answers import review as read_review
from larder_client.calls import Call, item_path, part
from larder_client.pictures import Picture, as_file, is_address


def teach(name: str, pictures: Sequence[Picture], *, shrink: bool = True) -> Call[list[Example]]:
    """Teach an item by 1 to 32 pictures of it (`POST /pantry/{item}/examples`); returns them with warnings."""
    addresses = [picture for picture in pictures if is_address(picture)]
    files = [as_file(picture, shrink) for picture in pictures if not is_address(picture)]
    body = {"images": files} | ({"image_urls": addresses} if addresses else {})  # unknown to older services
    return Call("POST", _path(name), examples, body)


def taught(name: str) -> Call[list[Example]]:
    """Return the examples of an item (`GET /pantry/{item}/examples`)."""
    return Call("GET", _path(name), examples)


def forget(name: str, id: str | None = None) -> Call[int]:
    """Delete an item's examples, or one of them (`DELETE /pantry/{item}/examples`); returns the number deleted."""
    one, gone = ("", None) if id is None else (f"/{part(id)}", lambda: 1)
    return Call("DELETE", _path(name) + one, lambda data: int(data["deleted"]), gone=gone)


def feedback(request_id: str, item: str, teach: bool = False, tie_barcode: bool = False) -> Call[Correction]:
    """Correct or confirm an answer to a picture or to frames (`POST /feedback`).

    With `teach` the item is taught by what was shown, with `tie_barcode` the one barcode in it is assigned to the item.
    Raises NotFound if the answer is no longer stored.
    """
    body = {"request_id": request_id, "item": item, "teach": teach}
    return Call("POST", "/feedback", correction, body | ({"tie_barcode": True} if tie_barcode else {}))


def review(limit: int = 20) -> Call[Review]:
    """Return pictures that were not recognised confidently, most informative first (`GET /review`)."""
    return Call("GET", f"/review?limit={limit}", read_review)


def review_picture(id: str, place: int = 0) -> Call[bytes]:
    """Return a picture of an entry, if pictures are kept; frames have several (`GET /review/{id}/pictures`)."""
    return Call("GET", f"/review/{part(id)}/pictures/{place}", bytes, media="image/")


def label(id: str, item: str) -> Call[Labelled]:
    """Label an entry, which teaches the item (`POST /review/{id}`); another label replaces the first."""
    return Call("POST", f"/review/{part(id)}", labelled, {"item": item})


def dismiss(id: str) -> Call[None]:
    """Dismiss an entry of the review queue; its scene does not return (`DELETE /review/{id}`)."""
    return Call("DELETE", f"/review/{part(id)}", lambda _: None, gone=lambda: None)


def examples_report() -> Call[ExamplesReport]:
    """Return the leave-one-out report on all examples (`GET /examples/report`)."""
    return Call("GET", "/examples/report", read_report)


def _path(name: str) -> str:
    return item_path(name) + "/examples"
