"""Metadata of an entry: its limits, and the conditions on single fields that a filter is made of."""

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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


Scalar = bool | int | float | str
Operator = Literal["eq", "in", "gt", "gte", "lt", "lte"]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def kind(value: object) -> str:
    """Return the type that a value can be compared with: numbers with numbers, texts with texts, and true is not 1.

    >>> kind(1) == kind(0.5), kind(1) == kind(True)
    (True, False)
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


@dataclass(frozen=True)
class Condition:
    """A condition on a top-level metadata field: `eq`, `in` or a range, among values of the same type."""

    key: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]

    def holds(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether metadata match; a missing field, or one of another type, never does.

        >>> Condition("year", "gte", 2020).holds({"year": 2024})
        True
        """
        found = metadata.get(self.key)
        if isinstance(self.value, tuple):
            return any(kind(found) == kind(value) and found == value for value in self.value)
        if kind(found) != kind(self.value):
            return False
        return found == self.value if self.operator == "eq" else _COMPARE[self.operator](found, self.value)
