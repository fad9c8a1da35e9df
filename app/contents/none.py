"""The empty content store, for a service without search."""

from typing import NoReturn

from app.errors import NotFound


class NoContents:
    """A store without entries; every call raises NotFound."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise NotFound("this service keeps no entries: it was started with LARDER_CONTENTS=none")

    put = add = get = delete = vectors = search = count = page = scan = rename_collection = delete_collection = _refuse

    def refresh(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
