"""What a search is for, as SQL over the facts that metadata holds."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.contents import Where
from app.contents.conditions import Condition, Scalar, kind

# SQLite orders numbers before texts before blobs, so that a range has to name the kind of its values too
_KINDS = {"number": "IN ('integer', 'real')", "text": "= 'text'", "boolean": "= 'blob'"}
_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def facts(metadata: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What of the metadata can be asked for."""
    for key, value in metadata.items():
        if kind(value) != "other":
            yield key, _value(value)


def _value(value: Scalar) -> object:
    return bytes([value]) if isinstance(value, bool) else value


def conditions(where: Where) -> tuple[list[str], list[object]]:
    """The condition of a query, and its values."""
    parts, values = ["TRUE"], list[object]()
    for column, wanted in (("type", where.type), ("collection", where.collection)):
        if wanted is not None:
            # the plus keeps SQLite from going by a collection, which may be everything, where it can go by a fact
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
