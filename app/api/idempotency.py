"""The `Idempotency-Key` header: a change that a client retries is applied once."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated

from fastapi import Header

from app.pantry import Key

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="a unique name for this change, such as a UUID: a request that is repeated with it within a day "
        "is applied once, and each repetition gets the first answer's counts",
    ),
]


_caller: ContextVar[str] = ContextVar("caller", default="")


@contextmanager
def acting_for(api_key: bytes) -> Iterator[None]:
    """Set the caller for idempotency keys: the holder of this API key, empty where none is needed."""
    token = _caller.set(hashlib.sha256(api_key).hexdigest()[:16] if api_key else "")
    try:
        yield
    finally:
        _caller.reset(token)


def idempotency_key(header: str | None, request: str) -> Key | None:
    """Return the key of a change, None where the caller sent none; `request` identifies what is asked for."""
    return Key(header, hashlib.sha256(request.encode()).hexdigest(), _caller.get()) if header else None
