"""The store without a pantry."""

import pytest

from app.errors import NotFound
from app.pantry import Key, Status
from app.pantry.none import NoPantry


def test_no_pantry_has_no_items():
    """Without a pantry there is nothing to read, and changes say why they are refused."""
    store = NoPantry()
    assert store.items() == {}
    assert store.stamp() == store.stamp()
    assert store.status() == Status("none", 0)
    for change in (lambda: store.add("rice", 1), lambda: store.delete("rice", Key("k", "r"))):
        with pytest.raises(NotFound, match="LARDER_PANTRY=none"):
            change()
