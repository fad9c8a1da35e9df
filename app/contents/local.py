"""Contents on this machine: the truth in SQLite, the vectors in an index in the process."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.contents import EVERYTHING, Content, Hit, VectorModel, Where
from app.contents.database import Database, Delete, Done, Put, stored
from app.contents.index import Numbers, VectorIndex
from app.contents.together import Together
from app.engines import Floats
from app.errors import NotFound

TRIES = 10  # at a search whose results change while they are read
MORE = 100  # results that a search with conditions looks at before it asks the database for all that meet them


class LocalContents:
    """A ContentStore in one file. A change is on the disk, and in the index, before the call returns."""

    def __init__(self, path: Path, model: VectorModel, threads: int) -> None:
        """Raises StoreUnavailable for a file that cannot be used, ContentsError for another model's vectors."""
        self._database = Database(path, model)
        self._database.check_model(model.name)
        self._index = VectorIndex(model.size, threads)
        numbers = self._database.numbers()
        if len(numbers):
            self._index.load(numbers, self._database.vectors(numbers))
        self._change: Together[Put | Delete, Done] = Together(self._carry_out)

    def put(self, content: Content, vector: Floats) -> bool:
        """Store a content in place of the one with its id; returns whether there was none."""
        return self._change(Put(content, stored(vector))).removed is None

    def add(self, content: Content, vector: Floats) -> str | None:
        """The same, unless a content has exactly this vector already: then its id is returned and nothing is stored."""
        done = self._change(Put(content, stored(vector), unless_equal=True))
        return done.equal

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

        The index and the database are read one after the other; where a content changed in between, once more.
        """
        for _ in range(TRIES):
            hits, whole = self._look(vector, k, where)
            if whole:
                break
        return hits

    def count(self, collection: str | None = None) -> int:
        """How many contents there are."""
        return self._database.count(collection)

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        self._change.close()
        self._index.close()
        self._database.close()

    def _carry_out(self, changes: Sequence[Put | Delete]) -> list[Done | NotFound]:
        """The database first: what is found is on the disk."""
        outcomes = self._database.write(changes)
        add = [
            (outcome.added, np.frombuffer(change.vector, "<f2").astype(np.float32))
            for change, outcome in zip(changes, outcomes, strict=True)
            if isinstance(change, Put) and isinstance(outcome, Done) and outcome.added is not None
        ]
        remove = [done.removed for done in outcomes if isinstance(done, Done) and done.removed is not None]
        self._index.change(add, remove)
        return outcomes

    def _look(self, vector: Floats, k: int, where: Where) -> tuple[list[Hit], bool]:
        """The hits, and whether nothing changed while they were looked for.

        The best of all are looked at first: where k of them meet the conditions, these are the best of those that do.
        Otherwise the conditions are rare, or far from the vector: the database names all that meet them.
        """
        wide = k if where == EVERYTHING else k + len(where.without) + MORE
        hits, found, whole = self._hits(vector, wide, where)
        if len(hits) >= k or found < wide or not whole:
            return hits[:k], whole
        return self._hits(vector, k, where, self._database.matching(where))[::2]

    def _hits(self, vector: Floats, k: int, where: Where, among: Numbers | None = None) -> tuple[list[Hit], int, bool]:
        """The hits among the k best that meet the conditions, how many were looked at, and whether all was there."""
        found = self._index.search(vector, k, among)
        rows = self._database.rows(found.numbers)
        contents = [(rows.get(number), score) for number, score in zip(found.numbers, found.scores, strict=True)]
        hits = [
            Hit(content.id, content.type, float(score), content.metadata)
            for content, score in contents
            if content and where.holds(content)
        ]
        whole = len(rows) == len(found.numbers) and (among is None or found.among == len(among))
        return hits, len(found.numbers), whole
