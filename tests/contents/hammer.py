"""Adds, deletes and searches entries from 8 threads, and compares each answer with a slow reference model.

    python -m tests.contents.hammer --steps 10000

The index is rebuilt all the time, because its tail and its segments are small. A wrong answer ends it with an error.
"""

import argparse
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from app.contents import Content, ContentStore, Hit, VectorModel, Where
from app.contents.index import IndexOptions
from app.contents.local import LocalContents
from app.contents.metadata import Condition
from app.model.encoder import unit
from app.model.engines import Floats

SIZE = 16
HOT = Where(conditions=(Condition("hot", "eq", True),))


class Owner:
    """A thread's own entries: no other thread changes them, so every answer about them is predictable."""

    def __init__(self, number: int, store: ContentStore) -> None:
        self._store = store
        self._name = f"owner {number}"
        self._rng = np.random.default_rng(number)
        self._own: dict[str, Floats] = {}
        self.done: Counter[str] = Counter()

    def work(self, steps: int) -> Counter[str]:
        """Change, search and compare this many times; raises AssertionError."""
        kinds = (self._put, self._put, self._delete, self._search_own, self._search_all, self._find_hot)
        for kind in self._rng.integers(len(kinds), size=steps):
            step = kinds[kind]
            step()
            self.done[step.__name__.strip("_")] += 1
        return self.done

    def _put(self) -> None:
        id, vector = f"{self._name} {self._rng.integers(300)}", self._vector()
        new = self._store.put(Content(id, "text", id, self._name, {"n": len(self._own)}), vector)
        assert new == (id not in self._own), id
        self._own[id] = vector.astype(np.float16).astype(np.float32)

    def _delete(self) -> None:
        if self._own:
            id = str(self._rng.choice(sorted(self._own)))
            self._store.delete(id)
            del self._own[id]

    def _search_own(self) -> None:
        """A search among its own entries gives the model's answer."""
        query, k = self._vector(), int(self._rng.integers(1, 50))
        hits = self._store.search(query, k, Where(collection=self._name))
        expected = sorted((float(vector @ query) for vector in self._own.values()), reverse=True)[:k]
        assert len(hits) == len(expected), (len(hits), len(expected))
        assert np.allclose([hit.score for hit in hits], expected, atol=1e-4)
        self._check(hits, query)

    def _search_all(self) -> None:
        """In a search of all entries, the thread's own appear if they score high enough, and not after deletion."""
        query = self._vector()
        hits = self._store.search(query, 20)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        self._check(hits, query)
        last = hits[-1].score if len(hits) == 20 else -2
        missed = {id for id, vector in self._own.items() if vector @ query > last + 1e-4} - {hit.id for hit in hits}
        assert not missed, missed

    def _find_hot(self) -> None:
        """An entry that is replaced continuously is found at every moment, exactly once."""
        assert [hit.id for hit in self._store.search(self._vector(), 5, HOT)] == ["hot"]

    def _check(self, hits: list[Hit], query: Floats) -> None:
        assert len({hit.id for hit in hits}) == len(hits)
        for hit in hits:
            if hit.id.startswith(f"{self._name} "):
                assert abs(float(self._own[hit.id] @ query) - hit.score) < 1e-4, hit

    def _vector(self) -> Floats:
        vector: Floats = unit(self._rng.normal(size=SIZE).astype(np.float32))
        return vector


def hammer(folder: Path, steps: int, threads: int = 8) -> Counter[str]:
    """Return the number of each operation; raises AssertionError at the first wrong answer."""
    small = IndexOptions(tail=100, exact_up_to=400)  # with codes; up to 1,024 vectors are compared with all the same
    model = VectorModel("hammer", "0", SIZE)
    with closing(LocalContents(folder / "contents.sqlite", model, threads=2, options=small)) as store:
        hot = Content("hot", "text", "hot", metadata={"hot": True})
        vector: Floats = np.eye(SIZE, dtype=np.float32)[0]
        store.put(hot, vector)
        with ThreadPoolExecutor(threads + 1) as pool:
            working = [pool.submit(Owner(number, store).work, steps) for number in range(threads)]
            replaced = 0
            while not all(each.done() for each in working):
                store.put(hot, vector)
                replaced += 1
        return sum((each.result() for each in working), Counter(replaced=replaced))


def main() -> None:
    """Hammer, and print the number of each operation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as folder:
        done = hammer(Path(folder), steps)
    print(f"8 threads of {steps} steps, no wrong answer: " + ", ".join(f"{n} {what}" for what, n in done.items()))


if __name__ == "__main__":
    main()
