"""What passes between the stages of a bulk run: pictures, then their vectors or what is wrong with them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.model.engines import Floats


@dataclass(frozen=True)
class Picture:
    """A picture that has not been read yet; `read` raises LarderError or OSError."""

    id: str
    """Stable from run to run: the file's name below the source, with `:ROW` behind it in parquet."""
    path: str
    """What the source itself calls the picture."""
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Embedded:
    """A picture's unit vector (D,); or None, and the reason."""

    id: str
    path: str
    vector: Floats | None
    reason: str = ""
    data: bytes = b""
    """The picture itself, where it is to be kept."""


class Sink(Protocol):
    """Where the vectors go. What `put` took is there for good when it returns."""

    def done(self, ids: Collection[str]) -> set[str]:
        """Those of the ids that are there already."""
        ...

    def put(self, pictures: Sequence[Embedded]) -> Mapping[str, str]:
        """Store pictures, each of which has its vector; returns, by id, why some of them cannot be taken."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...
