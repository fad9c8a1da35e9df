"""The `Idempotency-Key` header: a change that is sent again, because its answer was lost, happens once."""

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
        description="any text of yours that names this very change, a UUID for instance: the change happens once, "
        "however often it is sent within a day, and each time gets the first answer's counts",
    ),
]


_caller: ContextVar[str] = ContextVar("caller", default="")


@contextmanager
def acting_for(api_key: bytes) -> Iterator[None]:
    """Handle a request of the caller with this API key, empty where none is needed."""
    token = _caller.set(hashlib.sha256(api_key).hexdigest()[:16] if api_key else "")
    try:
        yield
    finally:
        _caller.reset(token)


def idempotency_key(header: str | None, request: str) -> Key | None:
    """The key of a change, None where the caller sent none; `request` is all that makes the request what it is."""
    return Key(header, hashlib.sha256(request.encode()).hexdigest(), _caller.get()) if header else None
