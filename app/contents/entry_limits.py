"""Limits of an entry, shared by all interfaces: ids, texts, metadata."""

import json
from typing import Any

MAX_TEXT = 10_000  # characters
MAX_METADATA = 16 * 1024  # bytes of JSON
MAX_DEPTH = 8  # of metadata


def check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """Validate metadata as bounded JSON that every store accepts and return it; raises ValueError otherwise.

    Top-level integers must fit into 64 bits, because they can be compared.
    """
    if _deeper_than(value, MAX_DEPTH):
        raise ValueError(f"at most {MAX_DEPTH} nesting levels are accepted")
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except ValueError as error:  # NaN, infinity, or a lone surrogate
        raise ValueError("numbers must be finite, and strings must not contain lone surrogates") from error
    if size > MAX_METADATA:
        raise ValueError(f"{size:,} bytes of JSON were found; at most {MAX_METADATA:,} are accepted")
    if any(isinstance(each, int) and not -(2**63) <= each < 2**63 for each in value.values()):
        raise ValueError("integers must fit into 64 bits")
    return value


def _deeper_than(value: Any, depth: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(depth == 0 or _deeper_than(each, depth - 1) for each in inside)
