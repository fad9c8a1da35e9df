"""The values that pass between the stages of a bulk run: pictures, then their embeddings or errors."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.contents import FileFacts
from app.model.engines import Floats


@dataclass(frozen=True)
class Picture:
    """A picture that is not read yet; `read` raises LarderError or OSError, SourceError if the whole source fails."""

    id: str
    """Stable from run to run: the file's name relative to the source, followed by `:ROW` in parquet."""
    path: str
    """The source's own name of the picture."""
    read: Callable[[], bytes]
    size: int = 0
    """Size in bytes, as far as it is known before reading."""


@dataclass(frozen=True)
class Embedded:
    """A picture's unit embedding (D,); or None and the reason."""

    id: str
    path: str
    vector: Floats | None
    reason: str = ""
    data: bytes = b""
    """The picture itself, if it is to be kept."""
    file: FileFacts | None = None
    """Metadata of its file."""
    thumbnail: bytes | None = None
    """A small JPEG of it."""
    unread: bool = False
    """Whether the source failed, rather than the picture."""


class Sink(Protocol):
    """The output of a run. What `put` stored is durable when it returns."""

    def done(self, ids: Collection[str]) -> set[str]:
        """Return those of the ids that are already stored."""
        ...

    def put(self, pictures: Sequence[Embedded]) -> Mapping[str, str]:
        """Store pictures with their embeddings; return the refused ones with the reason, by id."""
        ...

    def close(self) -> None:
        """Release resources."""
        ...
