"""Content stores: texts and pictures by id, searched by embedding. The protocol of every store."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from app.contents.metadata import Condition
from app.errors import InvalidRequest, NotFound
from app.model.engines import Floats

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
ContentType = Literal["text", "image"]
MAX_ID = 200
MAX_TEXT = 10_000  # characters of an entry
MAX_K = 1000
MAX_IDS = 100  # entries that one query may name
COLLECTION = "default"


class FileFacts(NamedTuple):
    """Metadata of a picture's file; `stored_at` is in seconds since 1970, `fingerprint` a perceptual hash."""

    width: int
    height: int
    bytes: int
    stored_at: float
    fingerprint: str = ""


@dataclass(frozen=True)
class Content:
    """A stored text or picture; `picture` has the original's bytes if originals are kept, `thumbnail` is a JPEG."""

    id: str
    type: ContentType
    text: str | None = None
    collection: str = COLLECTION
    metadata: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: bytes | None = None
    picture: bytes | None = None
    file: FileFacts | None = None


class Entry(NamedTuple):
    """An entry with its embedding (D,); None if the embedding is from another model."""

    content: Content
    vector: Floats | None


class Scanned(NamedTuple):
    """Some entries by their ids, with their embeddings (n, D) and fingerprints, empty if they have none."""

    ids: Sequence[str]
    vectors: Floats
    fingerprints: Sequence[str]


@dataclass(frozen=True)
class Hit:
    """A search result; `score` is the cosine similarity."""

    id: str
    type: ContentType
    score: float
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Where:
    """A search filter: all conditions must hold; without any it matches all entries."""

    type: ContentType | None = None
    collection: str | None = None
    conditions: tuple[Condition, ...] = ()
    without: tuple[str, ...] = ()

    def holds(self, content: Content) -> bool:
        """Return whether an entry matches the filter."""
        return (
            self.type in (None, content.type)
            and self.collection in (None, content.collection)
            and content.id not in self.without
            and all(condition.holds(content.metadata) for condition in self.conditions)
        )


EVERYTHING = Where()


@dataclass(frozen=True)
class VectorModel:
    """The model of a store's embeddings: its name, the checksum that identifies its embedding space, their size."""

    name: str
    checksum: str
    size: int


class ContentStore(Protocol):
    """Entries with their unit embeddings (D,). A change is durable, and visible to searches, when the call returns.

    Ids are as `content_id` checks them. Embeddings are stored as float16. Every method may block, may be called from
    several threads, and raises StoreUnavailable if the store cannot be reached.
    """

    def put(self, content: Content, vector: Floats) -> bool:
        """Create or replace the entry with this id; return whether it is new."""
        ...

    def add(self, content: Content, vector: Floats) -> str | None:
        """Like `put`, unless an entry has exactly this embedding: then return its id and store nothing."""
        ...

    def get(self, id: str) -> Content:
        """Return one entry, with its thumbnail and without its original; raises NotFound."""
        ...

    def delete(self, id: str) -> None:
        """Remove an entry; raises NotFound."""
        ...

    def vectors(self, ids: Sequence[str]) -> Floats:
        """Return the embeddings (N, D) of N >= 1 entries; raises NotFound."""
        ...

    def search(self, vector: Floats, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """Return the k nearest entries to a unit vector (D,), best first; fewer if fewer exist."""
        ...

    def page(
        self, position: str, limit: int, collection: str | None = None, *, originals: bool = False
    ) -> tuple[list[Entry], str]:
        """Return up to `limit` entries after a position, and the position after these; both are empty at the ends.

        An unchanged entry is returned once, one that is replaced meanwhile once or twice. Raises InvalidRequest for a
        position that this store cannot have returned.
        """
        ...

    def scan(self, where: Where = EVERYTHING) -> Iterator[Scanned]:
        """Yield the data for grouping duplicates of all entries that match `where`, in batches, in any order."""
        ...

    def rename_collection(self, old: str, new: str, most: int) -> int:
        """Move at most `most` entries of a collection to another; return their number."""
        ...

    def delete_collection(self, collection: str, most: int) -> int:
        """Delete at most `most` entries of a collection; return their number."""
        ...

    def count(self, collection: str | None = None) -> int:
        """Count all entries, or those of one collection."""
        ...

    def refresh(self) -> None:
        """Make other processes' changes visible to searches; called ten times a second, so it must be cheap."""
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


def content_id(text: str) -> str:
    """Return the id; raises InvalidRequest if it is empty, too long, or contains control characters.

    >>> content_id("photos/2024/müsli.jpg")
    'photos/2024/müsli.jpg'
    """
    if not 1 <= len(text) <= MAX_ID or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise InvalidRequest(f"an entry's id has 1 to {MAX_ID} characters, none of them a control character")
    return text


def not_there(id: str) -> NotFound:
    """Return the error for an entry that does not exist."""
    return NotFound(f"there is no entry {id!r}")


class NoContents:
    """A store without entries; every call raises NotFound."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise NotFound("this service keeps no entries: it was started with LARDER_CONTENTS=none")

    put = add = get = delete = vectors = search = count = page = scan = rename_collection = delete_collection = _refuse

    def refresh(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
