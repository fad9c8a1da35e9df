"""Change feed of the vectors table: a snapshot, then the changes since then, by any process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from app.contents import Numbers
from app.model.engines import Floats
from app.sqlite_file import SQLiteFile

# NOT INDEXED: otherwise SQLite would read all removals by number to serve the order, instead of the new ones
_CHANGES = """SELECT number, vector, NULL FROM vectors WHERE number > ? AND +model = ?
              UNION ALL SELECT number, NULL, turn FROM removals NOT INDEXED WHERE turn > ? ORDER BY 1"""
_LAST_TURN = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'removals'), 0)"
_FIRST_KEPT = f"SELECT coalesce(min(turn), {_LAST_TURN} + 1) FROM removals"  # noqa: S608 - only constants
_CHUNK = 10_000


class ChangeFeed:
    """Remembers how far it has read: entry numbers and the turns of removals rise with every process's changes."""

    def __init__(self, file: SQLiteFile, model: int) -> None:
        self._file = file
        self._model = model
        self._number = self._turn = 0

    @contextmanager
    def snapshot(self) -> Iterator[tuple[Numbers, Iterator[Floats]]]:
        """Yield all numbers, ascending, and their vectors (n, D) in chunks, from one snapshot."""
        with self._file.reader() as reader:
            reader.execute("BEGIN")
            turn = reader.execute(f"SELECT {_LAST_TURN}").fetchone()[0]
            rows = reader.execute("SELECT number FROM vectors WHERE +model = ? ORDER BY number", (self._model,))
            numbers = np.fromiter((number for (number,) in rows), np.int64)
            vectors = reader.execute("SELECT vector FROM vectors WHERE +model = ? ORDER BY number", (self._model,))
            chunks = iter(lambda: vectors.fetchmany(_CHUNK), [])
            yield numbers, (floats(b"".join(v for (v,) in chunk)).reshape(len(chunk), -1) for chunk in chunks)
            reader.execute("COMMIT")
        self._number, self._turn = int(numbers.max(initial=0)), turn

    def changes(self, indexed: Callable[[], Numbers]) -> tuple[list[tuple[int, Floats]], Numbers]:
        """Return the numbers added since the last call, ascending, with vectors (D,), and the numbers removed.

        Tombstones are kept for a limited time. A process that was suspended for longer, or whose clock jumped, has
        missed some; then all numbers that it has `indexed` are compared with those in the file. One thread at a time.
        """
        with self._file.reader() as reader:
            rows = reader.execute(_CHANGES, (self._number, self._model, self._turn)).fetchall()
            added = [(number, floats(vector)) for number, vector, _ in rows if vector is not None]
            removals = {turn: number for number, vector, turn in rows if vector is None}
            last = max(removals) if removals else reader.execute(_FIRST_KEPT).fetchone()[0] - 1
            removed = np.array(list(removals.values()), np.int64)
            if last - self._turn > len(removals):  # turns are consecutive: some tombstones were purged
                numbers = reader.execute("SELECT number FROM vectors WHERE +model = ?", (self._model,))
                there = np.fromiter((number for (number,) in numbers), np.int64)
                known = np.append(indexed(), np.array([number for number, _ in added], np.int64))
                removed = np.setdiff1d(known, there)
        self._number = added[-1][0] if added else self._number
        self._turn = last
        return added, removed


def floats(kept: bytes) -> Floats:
    """Decode concatenated float16 vectors."""
    return np.frombuffer(kept, "<f2").astype(np.float32)
