"""Few-shot calls: examples of items, and feedback on answers."""

from collections.abc import Sequence

from larder_client.answers import Correction, Example, ExamplesReport, Labelled, Review, correction, examples, labelled
from larder_client.answers import examples_report as read_report
from larder_client.answers import review as read_review
from larder_client.calls import Call, item_path, part
from larder_client.pictures import Picture, as_file, is_address


def teach(name: str, pictures: Sequence[Picture], *, shrink: bool = True) -> Call[list[Example]]:
    """Teach an item by 1 to 32 pictures of it (`POST /pantry/{item}/examples`); what speaks against each is said."""
    addresses = [picture for picture in pictures if is_address(picture)]
    files = [as_file(picture, shrink) for picture in pictures if not is_address(picture)]
    body = {"images": files} | ({"image_urls": addresses} if addresses else {})  # which older services do not know
    return Call("POST", _path(name), examples, body)


def taught(name: str) -> Call[list[Example]]:
    """The examples of an item (`GET /pantry/{item}/examples`)."""
    return Call("GET", _path(name), examples)


def forget(name: str, id: str | None = None) -> Call[int]:
    """Delete an item's examples, or one of them (`DELETE /pantry/{item}/examples`); how many were deleted."""
    one, gone = ("", None) if id is None else (f"/{part(id)}", lambda: 1)
    return Call("DELETE", _path(name) + one, lambda data: int(data["deleted"]), gone=gone)


def feedback(request_id: str, item: str, teach: bool = False, tie_barcode: bool = False) -> Call[Correction]:
    """Say what an answer to a picture or to frames should have been (`POST /feedback`).

    With `teach` the item is taught by what was shown, with `tie_barcode` the one barcode in it is tied to the item.
    Raises NotFound for an answer that is no longer remembered.
    """
    body = {"request_id": request_id, "item": item, "teach": teach}
    return Call("POST", "/feedback", correction, body | ({"tie_barcode": True} if tie_barcode else {}))


def review(limit: int = 20) -> Call[Review]:
    """What the service did not recognise for sure lately, the most informative first (`GET /review`)."""
    return Call("GET", f"/review?limit={limit}", read_review)


def review_picture(id: str, place: int = 0) -> Call[bytes]:
    """A picture of an entry, where pictures are kept; of frames there are several (`GET /review/{id}/pictures`)."""
    return Call("GET", f"/review/{part(id)}/pictures/{place}", bytes, media="image/")


def label(id: str, item: str) -> Call[Labelled]:
    """Say what an entry shows, which teaches the item (`POST /review/{id}`); another label replaces the first."""
    return Call("POST", f"/review/{part(id)}", labelled, {"item": item})


def dismiss(id: str) -> Call[None]:
    """Take an entry out of the review queue; its scene is not asked for again (`DELETE /review/{id}`)."""
    return Call("DELETE", f"/review/{part(id)}", lambda _: None, gone=lambda: None)


def examples_report() -> Call[ExamplesReport]:
    """What all examples say of each other, each left out once (`GET /examples/report`)."""
    return Call("GET", "/examples/report", read_report)


def _path(name: str) -> str:
    return item_path(name) + "/examples"
