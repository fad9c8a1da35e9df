"""Contents on this machine: the truth in SQLite, the vectors in an index in the process."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.contents import EVERYTHING, Content, Hit, VectorModel, Where
from app.contents.database import Database, Delete, Done, Put, stored
from app.contents.flags import Numbers
from app.contents.index import VectorIndex, View
from app.contents.together import Together
from app.errors import NotFound
from app.model.engines import Floats

MORE = 100  # results that a search with conditions looks at before it asks the database for all that meet them


class LocalContents:
    """A ContentStore in one file. A change is on the disk, and in the index, before the call returns."""

    def __init__(self, path: Path, model: VectorModel, threads: int) -> None:
        """Raises StoreUnavailable for a file that cannot be used, ContentsError for another model's vectors."""
        self._database = Database(path, model)
        self._database.check_model(model.name)
        self._index = VectorIndex(model.size)
        with self._database.follower.everything() as (numbers, vectors):
            self._index.load(numbers, vectors)
        self._catching_up = threading.Lock()
        self._places = threading.BoundedSemaphore(threads)
        self._change: Together[Put | Delete, Done] = Together(self._carry_out)

    def put(self, content: Content, vector: Floats) -> bool:
        """Store a content in place of the one with its id; returns whether there was none."""
        return self._change(Put(content, stored(vector))).removed is None

    def add(self, content: Content, vector: Floats) -> str | None:
        """The same, unless a content has exactly this vector already: then its id is returned and nothing is stored."""
        return self._change(Put(content, stored(vector), unless_equal=True)).equal

    def get(self, id: str) -> Content:
        """One content, with its thumbnail and without its original; raises NotFound."""
        return self._database.get(id)

    def delete(self, id: str) -> None:
        """Remove a content; raises NotFound."""
        self._change(Delete(id))

    def vectors(self, ids: Sequence[str]) -> Floats:
        """The vectors (N, D) of N >= 1 contents; raises NotFound."""
        return np.stack([self._database.vector(each) for each in ids])

    def search(self, vector: Floats, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """The k contents nearest to a unit vector (D,), best first; fewer where fewer exist.

        The best of all are looked at first: where k of them meet the conditions, these are the best of those that do.
        Otherwise the conditions are rare, or far from the vector: the database names all that meet them.
        """
        view = self._index.view
        wide = k if where == EVERYTHING else k + len(where.without) + MORE
        hits, looked_at = self._hits(view, vector, wide, where)
        if len(hits) < k and looked_at == wide and where != EVERYTHING:
            hits, _ = self._hits(view, vector, k, where, self._database.matching(where))
        return hits[:k]

    def count(self, collection: str | None = None) -> int:
        """How many contents there are."""
        return self._database.count(collection)

    def refresh(self) -> None:
        """Take over into the index what has changed in the file, by whichever process."""
        with self._catching_up:
            self._index.change(*self._database.follower.news())

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        self._change.close()
        self._index.close()
        self._database.close()

    def _carry_out(self, changes: Sequence[Put | Delete]) -> list[Done | NotFound]:
        """The database first: what is found is on the disk."""
        outcomes = self._database.write(changes)
        self.refresh()
        return outcomes

    def _hits(
        self, view: View, vector: Floats, k: int, where: Where, among: Numbers | None = None
    ) -> tuple[list[Hit], int]:
        """The hits among the k best that meet the conditions, and how many were looked at."""
        with self._places:
            numbers, scores = view.search(vector, k, among)
        rows = self._database.rows(numbers)
        hits = [
            Hit(rows[number].id, rows[number].type, float(score), rows[number].metadata)
            for number, score in zip(numbers.tolist(), scores, strict=True)
            if number in rows and where.holds(rows[number])
        ]
        return hits, len(numbers)
