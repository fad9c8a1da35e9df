"""The empty pantry store, for recognition without counts."""

from collections.abc import Hashable
from typing import NoReturn

from app.errors import NotFound
from app.pantry import Status
from app.pantry.examples import Example
from app.pantry.journal import Listener


class NoPantry:
    """A store without items; every call for one raises NotFound."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []

    def items(self) -> dict[str, int]:
        """Return no items."""
        return {}

    def _refuse(self, *_: object) -> NoReturn:
        raise NotFound("this service keeps no pantry: it was started with LARDER_PANTRY=none")

    get = put = add = remove = delete = journal = undo = teach = forget = tie = untie = _refuse

    def examples(self) -> list[Example]:
        """Return no examples."""
        return []

    def barcodes(self, *_: object) -> tuple[dict[str, str], str | None]:
        """Return no barcodes."""
        return {}, None

    def items_of(self, *_: object) -> dict[str, str]:
        """Return no barcodes."""
        return {}

    def stamp(self) -> Hashable:
        """Return a constant: nothing ever changes."""
        return None

    def status(self) -> Status:
        """Return the status "none"."""
        return Status("none", 0.0)

    def close(self) -> None:
        """Do nothing."""
