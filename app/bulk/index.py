"""Store embeddings as searchable entries."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.bulk import Embedded
from app.contents import Content, ContentStore, content_id
from app.errors import InvalidRequest, NotFound
from app.model.engines import Floats
from app.s3 import SCHEME

_CONCURRENT_CALLS = 64  # a store commits concurrent calls in one transaction
_SAME_PICTURE = 0.999  # cosine similarity; the same file embedded on another engine or processor stays above it


class Index:
    """A sink that stores each picture under the id `COLLECTION/NAME`, with its path and source in the metadata.

    An id belongs to the collection and source that first stored it: another picture from elsewhere is refused instead
    of replacing it.
    """

    def __init__(self, store: ContentStore, collection: str, source: str) -> None:
        self._store = store
        self._collection = collection
        self._source = source.rstrip("/") if source.startswith(SCHEME) else str(Path(source).resolve())
        self._pool = ThreadPoolExecutor(_CONCURRENT_CALLS, "index")

    def done(self, ids: Collection[str]) -> set[str]:
        """Return those of the ids that this collection has from this source."""
        ids = list(ids)
        return {id_ for id_, stored in zip(ids, self._pool.map(self._stored, ids), strict=True) if stored}

    def put(self, pictures: Sequence[Embedded]) -> dict[str, str]:
        """Store pictures; return the refused ones with the reason, by id. Raises StoreUnavailable."""
        reasons = self._pool.map(self._put, pictures)
        return {each.id: reason for each, reason in zip(pictures, reasons, strict=True) if reason}

    def close(self) -> None:
        """Close the store."""
        self._pool.shutdown()
        self._store.close()

    def _stored(self, id_: str) -> bool:
        entry = self._find(self._entry_id(id_))
        return entry is not None and self._owns(entry)

    def _put(self, picture: Embedded) -> str:
        """Store one picture; return why it was refused, or an empty text."""
        vector, entry_id = picture.vector, self._entry_id(picture.id)
        if vector is None:
            return picture.reason
        try:
            content_id(entry_id)
        except InvalidRequest as error:
            return f"{entry_id}: {error}"
        there = self._find(entry_id)
        if there and not self._owns(there) and not self._shows(there, vector):
            return (
                f"{entry_id} is another picture already, from {there.metadata.get('source', 'an unknown source')} in "
                f"the collection {there.collection}: choose another --collection, or delete that entry"
            )
        metadata = {"path": picture.path, "source": self._source}
        kept = picture.thumbnail, picture.data or None, picture.file
        entry = Content(entry_id, "image", None, self._collection, metadata, *kept)
        self._store.put(entry, vector)
        self._remove_predecessor(picture, vector)
        return ""

    def _remove_predecessor(self, picture: Embedded, vector: Floats) -> None:
        """Remove the entry that earlier versions stored for this picture under its name alone."""
        old = self._find(picture.id)
        if old and old.metadata == {"path": picture.path} and self._shows(old, vector):
            self._store.delete(old.id)

    def _entry_id(self, id_: str) -> str:
        return f"{self._collection}/{id_}"

    def _find(self, entry_id: str) -> Content | None:
        try:
            return self._store.get(entry_id)
        except NotFound:
            return None

    def _owns(self, entry: Content) -> bool:
        return entry.collection == self._collection and entry.metadata.get("source") == self._source

    def _shows(self, entry: Content, vector: Floats) -> bool:
        """Return whether an entry of this collection shows the picture with this embedding (D,)."""
        if entry.collection != self._collection or entry.type != "image":
            return False
        return float(self._store.vectors([entry.id])[0] @ vector) > _SAME_PICTURE
