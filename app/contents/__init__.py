"""Stored entries: texts and pictures by id, found by their vectors. What every store of them does."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from app.contents.conditions import Condition
from app.errors import InvalidRequest, NotFound
from app.model.engines import Floats

ContentType = Literal["text", "image"]
MAX_ID = 200
MAX_K = 1000
MAX_IDS = 100  # entries that one query may name
COLLECTION = "default"


class FileFacts(NamedTuple):
    """What is known of a picture's file; `stored_at` is in seconds since 1970, `fingerprint` a perceptual hash."""

    width: int
    height: int
    bytes: int
    stored_at: float
    fingerprint: str = ""


@dataclass(frozen=True)
class Content:
    """A stored text or picture; `picture` is the original's bytes, where originals are kept, `thumbnail` a JPEG."""

    id: str
    type: ContentType
    text: str | None = None
    collection: str = COLLECTION
    metadata: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: bytes | None = None
    picture: bytes | None = None
    file: FileFacts | None = None


class Entry(NamedTuple):
    """An entry with its vector (D,); None where the vector is another model's."""

    content: Content
    vector: Floats | None


class Scanned(NamedTuple):
    """Some entries by their ids, with their vectors (n, D) and fingerprints, empty if they have none."""

    ids: Sequence[str]
    vectors: Floats
    fingerprints: Sequence[str]


@dataclass(frozen=True)
class Hit:
    """A search result; `score` is the cosine."""

    id: str
    type: ContentType
    score: float
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Where:
    """Which entries a search is for; all of it has to hold, and nothing said is all entries."""

    type: ContentType | None = None
    collection: str | None = None
    conditions: tuple[Condition, ...] = ()
    without: tuple[str, ...] = ()

    def holds(self, content: Content) -> bool:
        """Whether an entry is one of them."""
        return (
            self.type in (None, content.type)
            and self.collection in (None, content.collection)
            and content.id not in self.without
            and all(condition.holds(content.metadata) for condition in self.conditions)
        )


EVERYTHING = Where()


@dataclass(frozen=True)
class VectorModel:
    """The model whose vectors a store holds: what it is called, what names its vectors, how many numbers each has."""

    name: str
    checksum: str
    size: int


class ContentStore(Protocol):
    """Entries with their unit vectors (D,). A change is durable, and found by searches, when the call returns.

    Ids are as `content_id` checks them. Vectors are kept in 16 bits a number. Every method may block, may be called
    from several threads, and raises StoreUnavailable when the store cannot be reached.
    """

    def put(self, content: Content, vector: Floats) -> bool:
        """Store an entry in place of the one with its id; return whether there was none."""
        ...

    def add(self, content: Content, vector: Floats) -> str | None:
        """Do the same, unless an entry has exactly this vector already: then return its id and store nothing."""
        ...

    def get(self, id: str) -> Content:
        """Return one entry, with its thumbnail and without its original; raises NotFound."""
        ...

    def delete(self, id: str) -> None:
        """Remove an entry; raises NotFound."""
        ...

    def vectors(self, ids: Sequence[str]) -> Floats:
        """Return the vectors (N, D) of N >= 1 entries; raises NotFound."""
        ...

    def search(self, vector: Floats, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """Return the k entries nearest to a unit vector (D,), best first; fewer where fewer exist."""
        ...

    def page(
        self, position: str, limit: int, collection: str | None = None, *, originals: bool = False
    ) -> tuple[list[Entry], str]:
        """Return up to `limit` entries behind a position, and the position behind these; both are empty at the ends.

        An entry that stays as it is comes once, one that is replaced meanwhile once or twice. Raises InvalidRequest for
        a position that this store cannot have returned.
        """
        ...

    def scan(self, where: Where = EVERYTHING) -> Iterator[Scanned]:
        """Yield what groups of all entries that `where` holds for are made by, some at a time, in no certain order."""
        ...

    def rename_collection(self, old: str, new: str, most: int) -> int:
        """Move at most `most` entries of a collection to another one; return how many there were."""
        ...

    def delete_collection(self, collection: str, most: int) -> int:
        """Remove at most `most` entries of a collection; return how many there were."""
        ...

    def count(self, collection: str | None = None) -> int:
        """Count the entries, of all collections or of one."""
        ...

    def refresh(self) -> None:
        """Make other processes' changes visible to searches; called ten times a second, so it has to be cheap."""
        ...

    def close(self) -> None:
        """Release all resources."""
        ...


def content_id(text: str) -> str:
    """The id as it is; raises InvalidRequest for one that is empty, too long, or has control characters.

    >>> content_id("photos/2024/müsli.jpg")
    'photos/2024/müsli.jpg'
    """
    if not 1 <= len(text) <= MAX_ID or any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise InvalidRequest(f"an entry's id has 1 to {MAX_ID} characters, none of them a control character")
    return text


def not_there(id: str) -> NotFound:
    """The error for an entry that does not exist."""
    return NotFound(f"there is no entry {id!r}")
