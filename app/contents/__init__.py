"""Stored entries: texts and pictures by id, found by their vectors. What every store of them does."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from app.contents.conditions import Condition
from app.errors import InvalidRequest, NotFound
from app.model.engines import Floats

ContentType = Literal["text", "image"]
MAX_ID = 200
MAX_K = 1000
MAX_IDS = 100  # entries that one query may name
COLLECTION = "default"


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
    """Entries with their unit vectors (D,). A change is stored for good, and found, when the call returns.

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

    def count(self, collection: str | None = None) -> int:
        """Count the entries, of all collections or of one."""
        ...

    def refresh(self) -> None:
        """Have searches find what other processes have changed; called again and again, so it has to be cheap."""
        ...

    def close(self) -> None:
        """Give back what is held."""
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
