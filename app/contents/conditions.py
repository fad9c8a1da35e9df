"""Filter conditions on metadata: each compares one field."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
