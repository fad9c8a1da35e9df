"""No entries at all: recognition without a store to search."""

from typing import NoReturn

from app.errors import NotFound


class NoContents:
    """A store that is not kept; every call raises NotFound."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise NotFound("this service keeps no entries: it was started with LARDER_CONTENTS=none")

    put = add = get = delete = vectors = search = count = page = scan = rename_collection = delete_collection = _refuse

    def refresh(self) -> None:
        """Nothing can have changed."""

    def close(self) -> None:
        """Nothing is held."""
