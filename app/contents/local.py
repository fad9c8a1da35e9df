"""Content store on this machine: SQLite is the source of truth, an in-process index has the vectors."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from app.contents import EVERYTHING, Content, Entry, Hit, Numbers, Scanned, VectorModel, Where
from app.contents.database import RETENTION_S, Database, stored
from app.contents.group_commit import Change, Delete, DeleteCollection, Done, GroupCommit, Put, RenameCollection
from app.contents.index import IndexOptions, VectorIndex, View
from app.errors import InvalidRequest, NotFound
from app.model.engines import Floats

FILTER_MARGIN = 100  # candidates beyond k that a filtered search tries before it asks the database for all matches


class LocalContents:
    """A ContentStore in one file. A change is on disk and in the index before the call returns."""

    def __init__(
        self,
        path: Path,
        model: VectorModel,
        threads: int,
        *,
        options: IndexOptions | None = None,
        retention_s: float = RETENTION_S,
        max_bytes: int | None = None,
        searched: bool = True,
    ) -> None:
        """`searched` tells whether to load the vectors; a command that does not search saves the time.

        Raises StoreUnavailable for an unusable file, ContentsError for another model's vectors.
        """
        self._database = Database(path, model, retention_s, max_bytes=max_bytes)
        self._database.check_model(model.name)
        self._index = VectorIndex(model.size, options)
        self._searched = searched
        if searched:
            with self._database.feed.snapshot() as (numbers, vectors):
                self._index.load(numbers, vectors)
        self._refreshing = threading.Lock()
        self._search_slots = threading.BoundedSemaphore(threads)
        self._change = GroupCommit(self._commit)

    def put(self, content: Content, vector: Floats) -> bool:
        """Create or replace the entry with this id; return whether it is new."""
        return self._change(Put(content, stored(vector))).removed is None

    def add(self, content: Content, vector: Floats) -> str | None:
        """Like `put`, unless an entry has exactly this vector: then return its id and store nothing."""
        return self._change(Put(content, stored(vector), unless_equal=True)).equal

    def get(self, id: str) -> Content:
        """Return one entry, with its thumbnail and without its original; raises NotFound."""
        return self._database.get(id)

    def delete(self, id: str) -> None:
        """Remove an entry; raises NotFound."""
        self._change(Delete(id))

    def vectors(self, ids: Sequence[str]) -> Floats:
        """Return the vectors (N, D) of N >= 1 entries; raises NotFound."""
        return np.stack([self._database.vector(each) for each in ids])

    def search(self, vector: Floats, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """Return the k nearest entries to a unit vector (D,), best first; fewer if fewer exist.

        The best overall are tried first: if k of them match the filter, these are the best of the matches. Otherwise
        matches are rare or far from the vector, or this process has missed removals: then the database lists all
        matches, and exactly these are compared.
        """
        wide = k if where == EVERYTHING else k + len(where.without) + FILTER_MARGIN
        hits, candidates = self._hits(self._index.view, vector, wide, where)
        if len(hits) < k and candidates == wide:
            self.refresh()
            hits, _ = self._hits(self._index.view, vector, k, where, self._database.matching(where))
        return hits[:k]

    def page(
        self, position: str, limit: int, collection: str | None = None, *, originals: bool = False
    ) -> tuple[list[Entry], str]:
        """Return entries in insertion order; a position is the number of the last one."""
        after = position or "0"
        if not (after.isascii() and after.isdecimal() and len(after) < 19):
            raise InvalidRequest("the cursor is not one of this service: send it unchanged")
        rows = self._database.page(int(after), limit, collection, originals)
        return [entry for _, entry in rows], str(rows[-1][0]) if len(rows) == limit else ""

    def scan(self, where: Where = EVERYTHING) -> Iterator[Scanned]:
        """Yield all matching entries in batches, from one snapshot."""
        return self._database.scan(where)

    def rename_collection(self, old: str, new: str, most: int) -> int:
        """Move at most `most` entries of a collection to another; return their number."""
        return self._change(RenameCollection(old, new, most)).count

    def delete_collection(self, collection: str, most: int) -> int:
        """Delete at most `most` entries of a collection; return their number."""
        return self._change(DeleteCollection(collection, most)).count

    def count(self, collection: str | None = None) -> int:
        """Count all entries, or those of one collection."""
        return self._database.count(collection)

    def refresh(self) -> None:
        """Apply the changes of all processes in the file to the index."""
        if not self._searched:
            return
        with self._refreshing:
            self._index.change(*self._database.feed.changes(lambda: self._index.view.numbers()))

    def close(self) -> None:
        """Close the file; everything acknowledged is in it."""
        self._change.close()
        self._index.close()
        self._database.close()

    def _commit(self, changes: Sequence[Change]) -> list[Done | NotFound]:
        """Write the database first, so that everything found is on disk."""
        outcomes = self._database.write(changes)
        self.refresh()
        return outcomes

    def _hits(
        self, view: View, vector: Floats, k: int, where: Where, among: Numbers | None = None
    ) -> tuple[list[Hit], int]:
        """Return the hits among the k best that match the filter, and how many candidates there were."""
        with self._search_slots:
            numbers, scores = view.search(vector, k, among)
        rows = self._database.rows(numbers)
        hits = [
            Hit(rows[number].id, rows[number].type, float(score), rows[number].metadata)
            for number, score in zip(numbers.tolist(), scores, strict=True)
            if number in rows and where.holds(rows[number])
        ]
        return hits, len(numbers)
