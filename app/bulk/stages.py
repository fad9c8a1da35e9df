"""Pictures to vectors on this machine: while one batch is encoded, the next ones are read and decoded."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from app.bulk import Embedded, Picture
from app.errors import LarderError
from app.model.engines import Floats

_AHEAD = 4  # batches in hand; more would only take memory

Pixels = tuple[Picture, bytes, Floats | str]  # a picture, its bytes, its pixels (3, S, S) or what is wrong with it


def embed(
    pictures: Iterable[Picture],
    decode: Callable[[bytes], Floats],
    encode: Callable[[Sequence[Floats]], Floats],
    *,
    threads: int,
    batch: int,
    keep: bool = False,
) -> Iterator[Embedded]:
    """Every picture, in its order, with its vector or with the reason why it has none.

    `decode` makes bytes into a preprocessed picture (3, S, S) and raises LarderError, in `threads` threads; `encode`
    makes up to `batch` of those into unit vectors (N, D), in one. With `keep`, the bytes of good ones go along.
    """
    source = iter(pictures)
    in_hand: deque[Future[list[Embedded]]] = deque()
    with ThreadPoolExecutor(threads, "decode") as decoding, ThreadPoolExecutor(1, "encode") as encoding:
        while group := list(islice(source, batch)):
            pixels = [decoding.submit(_decode, picture, decode) for picture in group]
            in_hand.append(encoding.submit(_encode, pixels, encode, keep))
            if len(in_hand) == _AHEAD:
                yield from in_hand.popleft().result()
        while in_hand:
            yield from in_hand.popleft().result()


def _decode(picture: Picture, decode: Callable[[bytes], Floats]) -> Pixels:
    try:
        data = picture.read()
        return picture, data, decode(data)
    except LarderError as error:
        return picture, b"", str(error)
    except OSError as error:
        return picture, b"", error.strerror or str(error)


def _encode(
    pixels: Sequence[Future[Pixels]], encode: Callable[[Sequence[Floats]], Floats], keep: bool
) -> list[Embedded]:
    decoded = [future.result() for future in pixels]
    good = [result for _, _, result in decoded if not isinstance(result, str)]
    vectors = iter(encode(good) if good else ())
    return [
        Embedded(picture.id, picture.path, None, result)
        if isinstance(result, str)
        else Embedded(picture.id, picture.path, next(vectors), data=data if keep else b"")
        for picture, data, result in decoded
    ]
