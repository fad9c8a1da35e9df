"""Vectors to contents that can be searched."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from app.bulk import Embedded
from app.contents import Content, ContentStore, content_id
from app.errors import InvalidRequest, NotFound

_AT_A_TIME = 64  # a store carries out in one transaction what is asked of it at the same time


class Index:
    """A sink that puts each picture into a collection of a store, with its path for metadata."""

    def __init__(self, store: ContentStore, collection: str) -> None:
        self._store = store
        self._collection = collection
        self._pool = ThreadPoolExecutor(_AT_A_TIME, "index")

    def done(self, ids: Collection[str]) -> set[str]:
        """Those of the ids that the collection has."""
        ids = list(ids)
        return {id_ for id_, there in zip(ids, self._pool.map(self._has, ids), strict=True) if there}

    def put(self, pictures: Sequence[Embedded]) -> dict[str, str]:
        """Store them, but for ids that no content can have; raises StoreUnavailable."""
        reasons = self._pool.map(self._put, pictures)
        return {each.id: reason for each, reason in zip(pictures, reasons, strict=True) if reason}

    def close(self) -> None:
        """Close the store."""
        self._pool.shutdown()
        self._store.close()

    def _has(self, id_: str) -> bool:
        try:
            return self._store.get(id_).collection == self._collection
        except NotFound:
            return False

    def _put(self, picture: Embedded) -> str:
        """Why it cannot be taken; nothing when it was."""
        try:
            id_ = content_id(picture.id)
        except InvalidRequest as error:
            return str(error)
        metadata, data = {"path": picture.path}, picture.data or None
        if picture.vector is not None:
            content = Content(id_, "image", collection=self._collection, metadata=metadata, picture=data)
            self._store.put(content, picture.vector)
        return ""
