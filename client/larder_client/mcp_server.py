"""A Model Context Protocol server through which an assistant uses a Larder service: `larder mcp`."""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import Field

import larder_client
from larder_client.answers import Change, Classification, Example, Found, Hit, Item, Recognition, RemovedItem
from larder_client.client import Larder
from larder_client.errors import LarderError
from larder_client.pictures import is_address

MAX_FILE = 100_000_000  # bytes of a picture; what is sent is smaller
MAX_PATH = 1000  # characters; longer texts are pictures in base64
CONTENT = "content:"
INSTRUCTIONS = """\
Larder says what pictures show, and keeps the counts of a pantry. Act on an answer of `recognise` only if `confident` is
true and `known` is not false; otherwise ask which item it is, and offer to `teach` it. Changes of counts take effect at
once and are seen by everyone who uses this pantry."""

_PICTURE = (
    "a picture: the path of a file in the folder of pictures, an http(s) address, or content:ID for a stored entry. "
    "Base64 is not accepted"
)
Picture = Annotated[str, Field(description=_PICTURE, max_length=MAX_PATH)]
Quantity = Annotated[int, Field(ge=1, le=1_000_000, description="how many")]
Name = Annotated[str, Field(min_length=1, max_length=200, description="the item's name, such as `oat drink`")]


class Tools:
    """The tools: each method is one, and its docstring is what the assistant reads."""

    def __init__(self, larder: Larder, folder: Path | None) -> None:
        """Take the service, and the folder whose files may be read."""
        self._larder = larder
        self._folder = folder and folder.resolve()

    def recognise(self, picture: Picture) -> Recognition:
        """Say which item of the pantry, or which other label, a picture of one thing shows.

        `item` is the best label and `top_k_items` has the next ones. Take `item` for certain only if `confident` is
        true and `known` is not false; `known` false means that the picture probably shows none of the labels. To add
        or remove it, use `pantry_item` if that is not null, otherwise `item`.
        """
        return self._larder.recognise(self._picture(picture))

    def recognise_shelf(self, picture: Picture) -> list[Found]:
        """List the items in a picture of several things, such as a shelf or a table, with counts and boxes.

        Only items that are recognised with confidence are listed; things smaller than a quarter of the picture's
        shorter side are missed.
        """
        return self._larder.recognise_shelf(self._picture(picture))

    def classify(
        self,
        picture: Picture,
        labels: Annotated[list[str], Field(min_length=1, max_length=1000, description="the possible answers")],
        none_of_these: Annotated[bool, Field(description="also say how probable it is that no label applies")] = False,
    ) -> Classification:
        """Say how probable each of the given labels is for a picture. The labels need not be items of the pantry."""
        return self._larder.classify(self._picture(picture), labels, none_of_these=none_of_these)

    def pantry(self) -> list[Item]:
        """List all items of the pantry with their counts."""
        return self._larder.items()

    def add(self, item: Name, quantity: Quantity = 1) -> Item:
        """Add to an item's count; an item that the pantry does not have is created. Returns the new count."""
        return self._larder.add(item, quantity)

    def remove(self, item: Name, quantity: Quantity = 1) -> RemovedItem:
        """Subtract from an item's count, which never goes below 0. Returns the new count and how many were removed."""
        return self._larder.remove(item, quantity)

    def journal(
        self,
        item: Annotated[str | None, Field(description="the changes of this item only")] = None,
        limit: Annotated[int, Field(ge=1, le=100, description="how many changes at most")] = 20,
    ) -> list[Change]:
        """List the latest changes of counts, newest first: what changed, when, and by whose key."""
        return self._larder.journal(item, limit=limit)

    def undo(self, change: Annotated[str, Field(description="`id` of a change in the journal")]) -> Change:
        """Undo one change of a count. A change can be undone once; find its id with `journal`."""
        return self._larder.undo(change)

    def find(
        self,
        text: Annotated[str | None, Field(description="the query text")] = None,
        picture: Annotated[str | None, Field(description=_PICTURE, max_length=MAX_PATH)] = None,
        k: Annotated[int, Field(ge=1, le=100, description="how many entries at most")] = 10,
        collection: Annotated[str | None, Field(description="search this collection only")] = None,
    ) -> list[Hit]:
        """Find the stored texts and pictures that are most similar to a text or to a picture; give exactly one of both.

        `score` is the cosine similarity. The most similar entries are returned even if nothing fits well. An entry is
        given to other tools as content:ID.
        """
        if (text is None) == (picture is None):
            raise ToolError("give either text or picture")
        if picture and picture.startswith(CONTENT):
            return self._larder.search(id=picture.removeprefix(CONTENT), k=k, collection=collection)
        shown = None if picture is None else self._picture(picture)
        return self._larder.search(text, picture=shown, k=k, collection=collection)

    def teach(
        self,
        item: Name,
        pictures: Annotated[list[Picture], Field(max_length=32, description="1 to 32 pictures that show the item")],
    ) -> list[Example]:
        """Teach an item by pictures of it. From then on it is recognised; a new item is created with count 0.

        The pictures should show the item alone. `contradicts` names another item that an example looks like, and
        `near_duplicate_of` an example that shows the same: tell the user about both.
        """
        return self._larder.teach(item, [self._picture(each) for each in pictures])

    def correct(
        self,
        request_id: Annotated[str, Field(description="`request_id` of an answer of `recognise`")],
        item: Name,
        teach: Annotated[bool, Field(description="also teach the item by that picture")] = True,
    ) -> list[Example]:
        """Say which item the picture of a recent answer shows, and teach the item by that picture.

        Returns the examples that were taught.
        """
        return self._larder.feedback(request_id, item, teach).taught or []

    def _picture(self, given: str) -> bytes | str:
        """Return a picture's file, or its URL; raises ToolError for anything else."""
        if is_address(given):
            return given
        if given.startswith(CONTENT):
            return self._larder.thumbnail(given.removeprefix(CONTENT))
        if given.startswith("data:"):
            raise ToolError("a picture is given by path, address or content:ID, not as base64")
        if self._folder is None:
            raise ToolError("this server reads no files (`--pictures DIR` allows it): give an address or content:ID")
        try:
            path = (self._folder / given).resolve()  # symbolic links resolved
            inside = path.is_relative_to(self._folder) and path.is_file()
        except (OSError, RuntimeError, ValueError):  # too long a name, a loop of links, a null character
            inside = False
        if not inside:
            raise ToolError(f"{given} is not a file in the folder of pictures, the only one that this server reads")
        if path.stat().st_size > MAX_FILE:
            raise ToolError(f"{given} has more than {MAX_FILE:,} bytes")
        return path.read_bytes()


def build(larder: Larder, folder: Path | None) -> MCPServer:
    """Create the server; `folder` is the one whose files may be read."""
    server = MCPServer(
        "larder", title="Larder", instructions=INSTRUCTIONS, version=larder_client.__version__, log_level="WARNING"
    )
    tools = Tools(larder, folder)
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    adds = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
    removes = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)
    for tool, title, hints in (
        (tools.recognise, "Recognise a picture", reads),
        (tools.recognise_shelf, "Recognise several things in a picture", reads),
        (tools.classify, "Classify a picture among labels", reads),
        (tools.pantry, "What is in the pantry", reads),
        (tools.journal, "List changes of the pantry", reads),
        (tools.find, "Find stored entries", reads),
        (tools.add, "Add to the pantry", adds),
        (tools.remove, "Remove from the pantry", removes),
        (tools.undo, "Undo a change of the pantry", removes),
        (tools.teach, "Teach an item", adds),
        (tools.correct, "Correct an answer", adds),
    ):
        server.add_tool(_explained(tool), title=title, description=inspect.getdoc(tool), annotations=hints)
    return server


def _explained(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a tool so that the assistant reads the service's error messages."""

    @functools.wraps(tool)
    def explained(*args: Any, **options: Any) -> Any:
        try:
            return tool(*args, **options)
        except (LarderError, OSError) as error:
            raise ToolError(str(error)) from error

    return explained


def run_http(server: MCPServer, host: str, port: int, names: Sequence[str]) -> None:
    """Serve over streamable HTTP at /mcp, for requests with this machine or one of `names` as their host."""
    hosts = [each for name in ("127.0.0.1", "localhost", "[::1]", *names) for each in (name, f"{name}:*")]
    origins = [f"{scheme}://{each}" for scheme in ("http", "https") for each in hosts]
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
    server.run("streamable-http", host=host, port=port, stateless_http=True, transport_security=security)
