"""Few-shot calls: examples of items, and feedback on answers."""

from collections.abc import Sequence

from larder_client.answers import Correction, Example, correction, examples
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


def feedback(request_id: str, item: str, teach: bool = False) -> Call[Correction]:
    """Say what an answer to a picture or to frames should have been (`POST /feedback`).

    With `teach` the item is taught by what was shown. Raises NotFound for an answer that is no longer remembered.
    """
    return Call("POST", "/feedback", correction, {"request_id": request_id, "item": item, "teach": teach})


def _path(name: str) -> str:
    return item_path(name) + "/examples"
