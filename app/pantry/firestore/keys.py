"""Idempotency keys in Firestore: documents of `<collection>_keys`, each with the answer of its change."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from app.pantry import Item, Key
from app.pantry.changes import check_same

KEYS_KEPT = timedelta(days=1)


def _has_expired(known: Any) -> bool:
    """Return whether a key has expired: Firestore's own expiry may take days, or be disabled."""
    expires = known.fields["expires"].timestamp_value if "expires" in known.fields else None
    return expires is not None and expires.seconds <= time.time()


def key_write(key: Key, key_name: str, item: Item, expired: Any | None) -> dict[str, Any]:
    """Return the write of a key with the answer of its change, replacing an expired one.

    If the key was written meanwhile, the write fails together with the change.
    """
    fields = {
        "request": {"string_value": key.request},
        "item": {"string_value": item.item},
        "count": {"integer_value": item.count},
        "removed": {"integer_value": item.removed},
        "expires": {"timestamp_value": datetime.now(UTC) + KEYS_KEPT},
    }
    unchanged = {"update_time": expired.update_time} if expired else {"exists": False}
    return {"update": {"name": key_name, "fields": fields}, "current_document": unchanged}


def first_answer(key: Key, known: Any | None) -> Item | None:
    """Return the answer of the key's change, or None if it is new; raises InvalidRequest for another request."""
    if known is None or _has_expired(known):
        return None
    check_same(key, known.fields["request"].string_value)
    count, removed = (known.fields[name].integer_value for name in ("count", "removed"))
    return Item(known.fields["item"].string_value, count, removed)
