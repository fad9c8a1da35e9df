"""Support examples of items: embeddings of pictures, for few-shot recognition."""

import hashlib
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.errors import InvalidRequest, NotFound

MAX_EXAMPLES = 256  # of an item

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Example:
    """A picture's unit embedding (D,) as an example of an item, and the checksum of its model."""

    id: str
    item: str
    model: str
    vector: Vector
    at: float
    """The time of teaching, seconds since 1970."""


def new_example(item: str, model: str, vector: Vector) -> Example:
    """Create an example; its id is a checksum of everything but the time, so that a repeated one is the same."""
    text = f"{item}\n{model}\n".encode()
    return Example(hashlib.sha256(text + to_bytes(vector)).hexdigest()[:32], item, model, vector, time.time())


def to_bytes(vector: Vector) -> bytes:
    """Encode an embedding (D,) for storage: float32, little-endian."""
    return vector.astype("<f4").tobytes()


def from_bytes(data: bytes) -> Vector:
    """Decode what `to_bytes` encoded."""
    return np.frombuffer(data, "<f4").astype(np.float32)


def not_kept_yet(examples: Iterable[Example], have: Collection[str]) -> list[Example]:
    """Return the examples with new ids, each once, as first given."""
    new: dict[str, Example] = {}
    for example in examples:
        if example.id not in have:
            new.setdefault(example.id, example)
    return list(new.values())


def check_room(item: str, have: int, more: int) -> None:
    """Raise InvalidRequest if an item would have too many examples."""
    if have + more > MAX_EXAMPLES:
        raise InvalidRequest(
            f"{item!r} has {have} examples, and an item has at most {MAX_EXAMPLES}: delete some before {more} more"
        )


def chosen(item: str, have: Sequence[str], ids: Sequence[str] | None) -> list[str]:
    """Return the ids of the named examples of an item, each once, or all. Raises NotFound for an unknown one."""
    if missing := [each for each in ids or () if each not in have]:
        raise NotFound(f"{item!r} has no example {missing[0][:100]!r}")
    return list(have if ids is None else dict.fromkeys(ids))
