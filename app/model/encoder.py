"""Encode pictures and prompts to unit float32 embeddings; embeddings of prompts are cached on disk."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from app.errors import StoreUnavailable
from app.log import get_logger
from app.model.engines import Engine, Floats
from app.sqlite_file import SQLiteFile

_SCHEMA = """CREATE TABLE IF NOT EXISTS vectors
             (number INTEGER PRIMARY KEY, prompt BLOB NOT NULL UNIQUE, vector BLOB NOT NULL) STRICT;"""
_A_QUERY = 500  # placeholders in one statement
T = TypeVar("T")
_PROMPTS_A_CALL = 64  # bounds the memory of one call of the text tower


class Encoder:
    """The two towers of a model, with a prompt cache; thread-safe."""

    def __init__(
        self,
        tokenize: Callable[[list[str]], npt.NDArray[np.int64]],
        engine: Engine,
        size: int,
        cache: "PromptCache | None" = None,
    ) -> None:
        self._tokenize = tokenize
        self._engine = engine
        self._cache = cache
        self._turn = threading.Lock()
        self._input = np.empty(0, np.float32)  # buffer of the largest batch so far, (N, 3, S, S)
        self.size = size

    def pictures(self, pixels: Sequence[Floats]) -> Floats:
        """Encode preprocessed pictures, each (3, S, S), to unit vectors (N, D)."""
        if len(pixels) == 1:
            return unit(self._engine.encode_pixels(pixels[0][np.newaxis]))
        with self._turn:  # batches share one input buffer: memory for a new one would cost a page fault for each 4 KiB
            if len(self._input) < len(pixels):
                self._input = np.empty((len(pixels), *pixels[0].shape), np.float32)
            return unit(self._engine.encode_pixels(np.stack(pixels, out=self._input[: len(pixels)])))

    def texts(self, texts: Sequence[str]) -> Floats:
        """Encode up to a few dozen texts to unit vectors (N, D), bypassing the cache."""
        return unit(self._engine.encode_tokens(self._tokenize(list(texts))))

    def prompts(self, prompts: Sequence[str]) -> Floats:
        """Encode prompts, word for word, to unit vectors (N, D), reading from and writing to the cache."""
        vectors = self._cache.get(prompts) if self._cache else {}
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in vectors]
        for start in range(0, len(missing), _PROMPTS_A_CALL):
            part = missing[start : start + _PROMPTS_A_CALL]
            new = self.texts(part)  # (up to 64, D)
            if self._cache:
                self._cache.put(part, new)
            vectors |= zip(part, new, strict=True)
        return np.stack([vectors[prompt] for prompt in prompts]) if prompts else np.empty((0, self.size), np.float32)


def unit(vectors: Floats) -> Floats:
    """Normalise vectors (..., D) to length 1; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


class PromptCache:
    """An on-disk cache of embeddings by prompt; `model` identifies their space: model checksum and engine.

    One SQLite file, which several processes may share. While it cannot be used, prompts are encoded as if it were
    empty. At most `most` embeddings are kept, of all models together; the oldest are evicted.
    """

    def __init__(self, path: Path, model: str, most: int, *, timeout_s: float = 0.2) -> None:
        self._path = path
        self._model = model
        self._most = most
        self._lock = threading.Lock()
        self._timeout_s = timeout_s  # labels must not wait for a cache that another process has locked
        self._file: SQLiteFile | None = None
        self._reason = ""

    def get(self, prompts: Sequence[str]) -> dict[str, Floats]:
        """Return the cached vectors (D,) among those of these prompts."""
        keys = {self._key(prompt): prompt for prompt in prompts}
        wanted = list(keys)

        def select(file: SQLiteFile) -> dict[str, Floats]:
            found: dict[str, Floats] = {}
            with file.reader() as reader:
                for start in range(0, len(wanted), _A_QUERY):
                    part = wanted[start : start + _A_QUERY]
                    query = f"SELECT prompt, vector FROM vectors WHERE prompt IN ({','.join('?' * len(part))})"  # noqa: S608 - only question marks
                    rows = reader.execute(query, part)
                    found |= {keys[key]: np.frombuffer(vector, np.float32) for key, vector in rows}
            return found

        return self._use(select, otherwise={})

    def put(self, prompts: Sequence[str], vectors: Floats) -> None:
        """Store the vectors (N, D) of N prompts."""
        rows = [(self._key(prompt), vector.tobytes()) for prompt, vector in zip(prompts, vectors, strict=True)]

        def insert(file: SQLiteFile) -> None:
            with file.transaction() as writer:
                writer.executemany("INSERT OR IGNORE INTO vectors (prompt, vector) VALUES (?, ?)", rows)
                writer.execute(
                    "DELETE FROM vectors WHERE number <= (SELECT max(number) FROM vectors) - ?", (self._most,)
                )

        self._use(insert, otherwise=None)

    def _key(self, prompt: str) -> bytes:
        return hashlib.blake2b(f"{self._model}\0{prompt}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def _use(self, work: Callable[[SQLiteFile], T], otherwise: T) -> T:
        """Return the result of `work` on the file; `otherwise` if it fails, which is logged once per reason."""
        with self._lock:
            try:
                self._file = self._file or SQLiteFile(
                    "the prompt cache", self._path, _SCHEMA, timeout_s=self._timeout_s
                )
                return work(self._file)
            except StoreUnavailable as error:
                if str(error) != self._reason:
                    get_logger().warning("prompt cache unavailable", file=str(self._path), reason=str(error))
                self._reason = str(error)
                return otherwise
