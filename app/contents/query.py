"""Translate search filters to SQL over the facts that metadata contains."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.contents import Where
from app.contents.conditions import Condition, Scalar, kind

# SQLite orders numbers before texts before blobs, so a range must also name the type of its values
_KINDS = {"number": "IN ('integer', 'real')", "text": "= 'text'", "boolean": "= 'blob'"}
_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def facts(metadata: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Return the facts of the metadata that can be filtered by."""
    for key, value in metadata.items():
        if kind(value) != "other":
            yield key, _value(value)


def _value(value: Scalar) -> object:
    return bytes([value]) if isinstance(value, bool) else value


def conditions(where: Where) -> tuple[list[str], list[object]]:
    """Return the WHERE clause of a filter, and its values."""
    parts, values = ["TRUE"], list[object]()
    for column, wanted in (("type", where.type), ("collection", where.collection)):
        if wanted is not None:
            # unary plus disables the collection index, so that the more selective facts are used
            parts.append(f"{'+' if where.conditions else ''}{column} = ?")
            values.append(wanted)
    if where.without:
        parts.append("id NOT IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(where.without))
    for condition in where.conditions:
        test, compared = _test(condition)
        parts.append(f"number IN (SELECT number FROM facts WHERE key = ? AND {test})")  # noqa: S608 - the same
        values += [condition.key, *compared]
    return parts, values


def _test(condition: Condition) -> tuple[str, list[object]]:
    if isinstance(condition.value, tuple):
        return f"value IN ({', '.join('?' * len(condition.value))})", [_value(value) for value in condition.value]
    value = condition.value
    return f"value {_SIGNS[condition.operator]} ? AND typeof(value) {_KINDS[kind(value)]}", [_value(value)]
