"""Embed pictures on this machine; reading, decoding and encoding overlap."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from app.bulk import Embedded, Picture
from app.contents import FileFacts
from app.errors import LarderError, SourceError
from app.model.engines import Floats

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
    in_hand: deque[Future[list[Embedded]]] = deque()
    with ThreadPoolExecutor(threads, "decode") as decoding, ThreadPoolExecutor(1, "encode") as encoding:
        for group in _batches(pictures, batch):
            decoded = [decoding.submit(_decode, picture, decode) for picture in group]
            names = [(picture.id, picture.path) for picture in group]
            in_hand.append(encoding.submit(_encode, names, decoded, encode))
            if len(in_hand) == _BATCHES:
                yield from in_hand.popleft().result()
        while in_hand:
            yield from in_hand.popleft().result()


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
