"""Embed pictures on this machine; reading, decoding and encoding overlap."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from app.bulk import Embedded, Picture
from app.bulk.files import open_files
from app.bulk.sources import Unit, read_pictures
from app.components import Model, open_preparer
from app.contents import FileFacts
from app.errors import LarderError, SourceError
from app.images.prepare import fingerprint
from app.model.engines import Floats
from app.settings import Settings

_BATCHES = 4  # in progress; more would only use memory
_BATCH_BYTES = 32 * 1024 * 1024  # of picture files; a batch of larger ones has fewer


@dataclass(frozen=True)
class Decoded:
    """A picture's pixels (3, S, S) with what an entry keeps of it; or an error."""

    pixels: Floats | None = None
    data: bytes = b""
    reason: str = ""
    unread: bool = False
    file: FileFacts | None = None
    thumbnail: bytes | None = None


def embed(
    pictures: Iterable[Picture],
    decode: Callable[[bytes], Decoded],
    encode: Callable[[Sequence[Floats]], Floats],
    *,
    threads: int,
    batch: int,
) -> Iterator[Embedded]:
    """Yield every picture in order with its embedding or its error; raises SourceError.

    `decode` turns bytes into a preprocessed picture (3, S, S) and the metadata to keep, in `threads` threads; `encode`
    turns up to `batch` of those into unit embeddings (N, D), in one thread.
    """
    in_progress: deque[Future[list[Embedded]]] = deque()
    with ThreadPoolExecutor(threads, "decode") as decoding, ThreadPoolExecutor(1, "encode") as encoding:
        for group in _batches(pictures, batch):
            decoded = [decoding.submit(_decode, picture, decode) for picture in group]
            names = [(picture.id, picture.path) for picture in group]
            in_progress.append(encoding.submit(_encode, names, decoded, encode))
            if len(in_progress) == _BATCHES:
                yield from in_progress.popleft().result()
        while in_progress:
            yield from in_progress.popleft().result()


def _batches(pictures: Iterable[Picture], most: int) -> Iterator[list[Picture]]:
    """Group pictures into batches of at most `most` pictures and _BATCH_BYTES, so that memory is bounded."""
    batch: list[Picture] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == most or sum(each.size for each in batch) >= _BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _decode(picture: Picture, decode: Callable[[bytes], Decoded]) -> Decoded:
    try:
        data = picture.read()
    except SourceError:
        raise  # an error of the run, not of this picture
    except OSError as error:
        return Decoded(reason=error.strerror or str(error), unread=True)
    except LarderError as error:
        return Decoded(reason=str(error))
    try:
        return decode(data)
    except LarderError as error:
        return Decoded(reason=str(error))
    except Exception as error:  # any decoder error fails one picture; the others are read
        return Decoded(reason=f"{type(error).__name__}: {error}")


def _encode(
    names: Sequence[tuple[str, str]],
    decoded: Sequence[Future[Decoded]],
    encode: Callable[[Sequence[Floats]], Floats],
) -> list[Embedded]:
    results = [future.result() for future in decoded]
    good = [result.pixels for result in results if result.pixels is not None]
    vectors = iter(encode(good) if good else ())
    return [
        Embedded(*name, None, result.reason, unread=result.unread)
        if result.pixels is None
        else Embedded(*name, next(vectors), data=result.data, file=result.file, thumbnail=result.thumbnail)
        for name, result in zip(names, results, strict=True)
    ]


class Worker:
    """Embeds the pictures of a source, except those that are `done`.

    With `entries`, also returns what an entry of the contents keeps of a picture.
    """

    def __init__(self, settings: Settings, model: Model, source: str, done: set[str], entries: bool = False) -> None:
        self._settings = settings
        self._model = model
        self._files = open_files(source)
        self._done = done
        self._entries = entries
        self._preparer = open_preparer(settings, model)

    def embed(self, units: Iterable[Unit]) -> Iterator[Embedded]:
        """Yield every picture of the units with its embedding or its error."""
        settings, encode = self._settings, self._model.encoder.pictures
        sizes = {"threads": settings.threads, "batch": settings.max_batch}
        return embed(self._pictures(units), self.decode, encode, **sizes)

    def decode(self, data: bytes) -> Decoded:
        """Decode a picture's bytes to the model's input (3, S, S); raises InvalidImage and related errors."""
        header = self._preparer.read_header(data)
        if not self._entries:
            return Decoded(self._preparer.pixels(header))
        size = header.picture.size  # before the decoder reduces it
        pixels, thumbnail = self._preparer.pixels_and_thumbnail(header)
        facts = FileFacts(*size, len(data), time.time(), fingerprint(pixels))
        return Decoded(pixels, data if self._settings.keep_pictures else b"", file=facts, thumbnail=thumbnail)

    def _pictures(self, units: Iterable[Unit]) -> Iterator[Picture]:
        for unit in units:
            if not self._done.issuperset(unit.ids()):
                pictures = read_pictures(self._files, unit, self._preparer.limits.max_bytes)
                yield from (picture for picture in pictures if picture.id not in self._done)
