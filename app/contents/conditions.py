"""What a filter asks of an entry's metadata: one condition each on one field."""

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
    """What a value can be compared with: numbers with numbers, texts with texts, and true is not 1.

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
    """A field of the metadata, at its top, that is `eq` or `in`, or lies on a side of, a value of its own kind."""

    key: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]

    def holds(self, metadata: Mapping[str, Any]) -> bool:
        """Whether metadata fulfil it; a field that is not there, or of another kind, never does.

        >>> Condition("year", "gte", 2020).holds({"year": 2024})
        True
        """
        found = metadata.get(self.key)
        if isinstance(self.value, tuple):
            return any(kind(found) == kind(value) and found == value for value in self.value)
        if kind(found) != kind(self.value):
            return False
        return found == self.value if self.operator == "eq" else _COMPARE[self.operator](found, self.value)
