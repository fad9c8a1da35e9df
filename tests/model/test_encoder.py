"""The encoder's vectors have unit length and keep their order over any number of calls."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest

from app.model.encoder import Encoder, unit


class NumberEngine:
    """A text tower that spreads a number over three dimensions; a picture tower that takes channel means."""

    name = "numbers"

    def __init__(self):
        self.calls = []

    def encode_pixels(self, pixels):
        return pixels.mean(axis=(2, 3))

    def encode_tokens(self, tokens):
        self.calls.append(len(tokens))
        return np.stack([np.cos(tokens[:, 0]), np.sin(tokens[:, 0]), tokens[:, 0] * 0], axis=1).astype(np.float32) * 7


def encoder() -> Encoder:
    return Encoder(lambda texts: np.array([[int(text)] for text in texts]), NumberEngine(), size=3)


@pytest.mark.parametrize("count", [0, 1, 64, 65, 200])
def test_prompts_keep_their_order_over_many_calls(count):
    """Row n is prompt n for any number of calls; the tower never gets more than 64 at once."""
    under_test = encoder()
    vectors = under_test.prompts([str(number) for number in range(count)])
    assert vectors.shape == (count, 3)
    assert np.allclose(vectors[:, 0], np.cos(np.arange(count)), atol=1e-6)
    assert max(under_test._engine.calls, default=0) <= 64


def test_pictures_are_unit_vectors():
    """A batch of pictures becomes rows of length 1."""
    vectors = encoder().pictures([np.full((3, 2, 2), value, np.float32) for value in (1, 5)])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert vectors.dtype == np.float32


class MeansEngine(NumberEngine):
    """Takes channel means when it is let, and notes where in memory each batch lies."""

    def __init__(self):
        super().__init__()
        self.begun, self.go_on, self.addresses = threading.Event(), threading.Event(), []

    def encode_pixels(self, pixels):
        self.addresses.append(pixels.ctypes.data)
        self.begun.set()
        assert self.go_on.wait(30)
        return super().encode_pixels(pixels)


def some_pictures(count, seed):
    return list(np.random.default_rng(seed).random((count, 3, 2, 2), np.float32))


def test_batches_share_one_input():
    """A smaller batch reuses the memory of the larger one before it, and each row is still its own picture's."""
    engine = MeansEngine()
    engine.go_on.set()
    under_test = Encoder(lambda _: np.empty(0), engine, size=3)
    for count in (8, 3, 1, 8):
        pictures = some_pictures(count, seed=count)
        wanted = unit(np.stack([each.mean(axis=(1, 2)) for each in pictures]))
        assert np.allclose(under_test.pictures(pictures), wanted)
    assert len(set(engine.addresses[:2] + engine.addresses[3:])) == 1


def test_batches_of_two_threads_take_turns():
    """A second batch does not overwrite the input of one that is being encoded."""
    engine = MeansEngine()
    under_test = Encoder(lambda _: np.empty(0), engine, size=3)
    one, other = some_pictures(4, seed=1), some_pictures(4, seed=2)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(under_test.pictures, one)
        assert engine.begun.wait(30)
        second = pool.submit(under_test.pictures, other)
        wait([second], timeout=0.1)  # enough for it to overwrite the input, if it could
        engine.go_on.set()
        for pictures, made in ((one, first), (other, second)):
            assert np.allclose(made.result(30), unit(np.stack([each.mean(axis=(1, 2)) for each in pictures])))


def test_nothing_becomes_nothing():
    """A vector of zeros has no direction and stays zero."""
    assert unit(np.zeros((1, 3), np.float32)).tolist() == [[0, 0, 0]]
