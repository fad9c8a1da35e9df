"""Concurrent reading, decoding and encoding give the same results as sequential processing."""

import threading
from functools import partial

import numpy as np
import pytest

from app.bulk import Picture
from app.bulk.stages import Decoded, embed
from app.errors import InvalidImage, SourceError
from tests.conftest import wait_until


def read(number: int) -> bytes:
    if number % 7 == 3:
        raise InvalidImage(f"number {number} is no picture")
    if number % 7 == 5:
        raise PermissionError(13, "Permission denied")
    return bytes([number])


def decode(data: bytes) -> Decoded:
    return Decoded(np.full((3, 2, 2), data[0], np.float32))


def encode(pixels) -> np.ndarray:
    return np.stack(pixels).mean(axis=(2, 3))  # (N, 3, S, S) -> (N, 3)


def pictures(count: int):
    return [Picture(str(number), f"path {number}", partial(read, number)) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 4, 50])
@pytest.mark.parametrize(("threads", "batch"), [(1, 1), (2, 4), (8, 16)])
def test_the_same_as_one_by_one(count, threads, batch):
    """Every picture comes once, in order, with its own vector or its own reason."""
    found = list(embed(pictures(count), decode, encode, threads=threads, batch=batch))
    assert [(each.id, each.path) for each in found] == [(str(n), f"path {n}") for n in range(count)]
    for number, each in enumerate(found):
        try:
            expected = encode([decode(read(number)).pixels])[0]
        except InvalidImage as error:
            assert (each.vector, each.reason) == (None, str(error))
        except OSError:
            assert (each.vector, each.reason) == (None, "Permission denied")
        else:
            assert each.vector.tolist() == expected.tolist()
            assert each.reason == ""


def test_a_batch_without_a_good_picture_is_not_encoded():
    """The encoder is not called for a batch without a good picture."""
    bad = [Picture("3", "3", partial(read, 3))] * 4
    found = list(embed(bad, decode, lambda pixels: 1 / 0, threads=2, batch=2))
    assert [each.reason for each in found] == ["number 3 is no picture"] * 4


def test_decoding_goes_on_while_encoding_is_busy_and_no_further_than_the_bound():
    """With the encoder stuck, exactly the pictures of four batches are read and decoded."""
    decoded, stuck = [], threading.Event()

    def watched(data):
        decoded.append(data)
        return decode(data)

    def waiting(pixels):
        assert stuck.wait(60)
        return encode(pixels)

    source = [Picture(str(number), "", partial(bytes, [number])) for number in range(100)]
    results: list = []
    work = embed(source, watched, waiting, threads=2, batch=4)
    running = threading.Thread(target=lambda: results.extend(work))
    running.start()
    wait_until(lambda: len(decoded) == 16)
    stuck.set()
    running.join(60)
    assert len(results) == 100


def test_an_error_of_the_encoder_ends_the_run():
    """An error of the model does not count as a bad picture."""
    with pytest.raises(ZeroDivisionError):
        list(embed(pictures(2), decode, lambda pixels: 1 / 0, threads=2, batch=2))


@pytest.mark.parametrize("error", [MemoryError(), ValueError("no"), RecursionError("deep"), KeyError("x")])
def test_whatever_a_decoder_raises_is_one_bad_picture(error):
    """The other pictures get their vectors; the reason names the error."""

    def failing(data):
        if data == bytes([2]):
            raise error
        return decode(data)

    found = list(embed(pictures(4), failing, encode, threads=2, batch=4))
    assert [each.vector is None for each in found] == [False, False, True, True]
    assert found[2].reason.startswith(type(error).__name__)
    assert [each.unread for each in found] == [False] * 4


def test_a_source_that_is_lost_ends_the_run():
    """An error of the whole source does not count as a bad picture; a single read error does."""

    def lost():
        raise SourceError("expired")

    with pytest.raises(SourceError, match="expired"):
        list(embed([Picture("1", "1", lost)], decode, encode, threads=2, batch=4))
    assert [each.unread for each in embed(pictures(6), decode, encode, threads=2, batch=4)] == [False] * 5 + [True]


def test_batches_of_large_files_are_smaller():
    """Work in progress is bounded by bytes: at most 32 MiB in a batch, or one picture."""
    batches = []
    megabytes = [1] * 10 + [10] * 8 + [100] * 3 + [1] * 40

    def watched(pixels):
        batches.append(len(pixels))
        return encode(pixels)

    source = [Picture(str(n), "", partial(bytes, [n]), size * 2**20) for n, size in enumerate(megabytes)]
    found = [each.id for each in embed(source, decode, watched, threads=2, batch=16)]
    assert found == [str(n) for n in range(len(megabytes))]
    assert batches == [13, 4, 2, 1, 1, 16, 16, 8]


def test_who_stops_early_waits_for_nobody():
    """Stopping the iteration early ends the threads."""
    before = threading.active_count()
    work = embed(pictures(100), decode, encode, threads=2, batch=2)
    next(work)
    work.close()
    assert threading.active_count() == before
