"""The vectors in the file as an index follows them: all of them at one moment, then what has changed since."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from app.contents.flags import Numbers
from app.model.engines import Floats
from app.sqlite_file import SQLiteFile

# NOT INDEXED: for the sake of the order SQLite would read all removals by their numbers, rather than the new ones
_NEWS = """SELECT number, vector, NULL FROM vectors WHERE number > ? AND +model = ?
           UNION ALL SELECT number, NULL, turn FROM removals NOT INDEXED WHERE turn > ? ORDER BY 1"""
_A_CHUNK = 10_000


class Follower:
    """Knows how far it has followed: numbers, and the turns of removals, rise with every process's changes."""

    def __init__(self, file: SQLiteFile, model: int) -> None:
        self._file = file
        self._model = model
        self._number = self._turn = 0

    @contextmanager
    def everything(self) -> Iterator[tuple[Numbers, Iterator[Floats]]]:
        """The numbers of all contents, ascending, and their vectors (n, D) in chunks, as they are at one moment."""
        with self._file.reader() as reader:
            reader.execute("BEGIN")
            rows = reader.execute("SELECT number FROM vectors ORDER BY number")
            numbers = np.fromiter((number for (number,) in rows), np.int64)
            vectors = reader.execute("SELECT vector FROM vectors ORDER BY number")
            chunks = iter(lambda: vectors.fetchmany(_A_CHUNK), [])
            yield numbers, (floats(b"".join(v for (v,) in chunk)).reshape(len(chunk), -1) for chunk in chunks)
            reader.execute("COMMIT")
        self._number = int(numbers.max(initial=0))

    def news(self) -> tuple[list[tuple[int, Floats]], list[int]]:
        """What has changed since the last call: new numbers, ascending, with their vectors (D,), and those that went.

        One thread at a time.
        """
        with self._file.reader() as reader:
            rows = reader.execute(_NEWS, (self._number, self._model, self._turn)).fetchall()
        added = [(number, floats(vector)) for number, vector, _ in rows if vector is not None]
        removed = {turn: number for number, vector, turn in rows if vector is None}
        self._number = added[-1][0] if added else self._number
        self._turn = max(removed, default=self._turn)
        return added, list(removed.values())


def floats(kept: bytes) -> Floats:
    """Vectors as they are kept, 16 bits a number, in one row."""
    return np.frombuffer(kept, "<f2").astype(np.float32)
