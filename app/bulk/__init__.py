"""What passes between the stages of a bulk run: pictures, then their embeddings or why they have none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.contents import FileFacts
from app.model.engines import Floats


@dataclass(frozen=True)
class Picture:
    """A picture that has not been read yet; `read` raises LarderError or OSError, SourceError for all pictures."""

    id: str
    """Stable from run to run: the file's name below the source, with `:ROW` behind it in parquet."""
    path: str
    """What the source itself calls the picture."""
    read: Callable[[], bytes]
    size: int = 0
    """Bytes, as far as they are known before reading."""


@dataclass(frozen=True)
class Embedded:
    """A picture's unit vector (D,); or None, and the reason."""

    id: str
    path: str
    vector: Floats | None
    reason: str = ""
    data: bytes = b""
    """The picture itself, where it is to be kept."""
    file: FileFacts | None = None
    """What is known of its file."""
    thumbnail: bytes | None = None
    """A small JPEG of it."""
    unread: bool = False
    """Whether the source failed, rather than the picture."""


class Sink(Protocol):
    """Where the embeddings go. What `put` took is durable when it returns."""

    def done(self, ids: Collection[str]) -> set[str]:
        """Return those of the ids that are there already."""
        ...

    def put(self, pictures: Sequence[Embedded]) -> Mapping[str, str]:
        """Store pictures that have their vector; return by id why some of them were refused."""
        ...

    def close(self) -> None:
        """Release resources."""
        ...
