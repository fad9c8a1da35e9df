"""Prompt vectors kept on disk between starts, in one SQLite file that several processes may share.

A cache only: when the file cannot be used, that is logged once and prompts are encoded as if it were empty.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from app.log import get_logger
from app.model.engines import Floats

_SCHEMA = """CREATE TABLE IF NOT EXISTS vectors
             (number INTEGER PRIMARY KEY, prompt BLOB NOT NULL UNIQUE, vector BLOB NOT NULL) STRICT"""
_A_QUERY = 500  # placeholders in one statement
T = TypeVar("T")


class PromptCache:
    """Vectors by prompt, for one model: `model` is what decides the vectors, its checksum and its engine.

    At most `most` vectors are kept, of all models together; the oldest give way.
    """

    def __init__(self, path: Path, model: str, most: int) -> None:
        self._path = path
        self._model = model
        self._most = most
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._broken = False

    def get(self, prompts: Sequence[str]) -> dict[str, Floats]:
        """The vectors (D,) of those prompts that are there."""
        keys = {self._key(prompt): prompt for prompt in prompts}
        wanted = list(keys)

        def select(connection: sqlite3.Connection) -> dict[str, Floats]:
            found: dict[str, Floats] = {}
            for start in range(0, len(wanted), _A_QUERY):
                part = wanted[start : start + _A_QUERY]
                query = f"SELECT prompt, vector FROM vectors WHERE prompt IN ({','.join('?' * len(part))})"  # noqa: S608 - question marks alone
                rows = connection.execute(query, part)
                found |= {keys[key]: np.frombuffer(vector, np.float32) for key, vector in rows}
            return found

        return self._use(select, otherwise={})

    def put(self, prompts: Sequence[str], vectors: Floats) -> None:
        """Keep the vectors (N, D) of N prompts."""
        rows = [(self._key(prompt), vector.tobytes()) for prompt, vector in zip(prompts, vectors, strict=True)]

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO vectors (prompt, vector) VALUES (?, ?)", rows)
            connection.execute(
                "DELETE FROM vectors WHERE number <= (SELECT max(number) FROM vectors) - ?", (self._most,)
            )
            connection.execute("COMMIT")

        self._use(insert, otherwise=None)

    def _key(self, prompt: str) -> bytes:
        return hashlib.blake2b(f"{self._model}\0{prompt}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def _use(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What `work` makes of the connection, for one thread at a time; `otherwise` once the file has failed."""
        with self._lock:
            if self._broken:
                return otherwise
            try:
                return work(self._open())
            except (sqlite3.Error, OSError) as error:
                self._broken = True
                get_logger().warning("prompt vectors are not kept", file=str(self._path), reason=str(error))
                return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=5, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # losing the last vectors in a power cut costs nothing
            connection.execute(_SCHEMA)
            self._connection = connection
        return self._connection
