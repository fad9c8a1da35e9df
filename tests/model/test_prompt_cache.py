"""Prompt vectors outlive the process, and errors of the cache are harmless."""

import subprocess
import sys

import numpy as np
import pytest

from app.model.encoder import Encoder, PromptCache
from tests.model.test_encoder import NumberEngine


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "prompts.sqlite"


def vectors(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)


def test_what_is_put_is_got_to_the_bit(path):
    """Another process, that is another connection, gets the same float32 numbers for the prompts that are there."""
    kept = vectors(1200)
    prompts = [f"a photo of {number}" for number in range(1200)]
    PromptCache(path, "model", 5000).put(prompts, kept)
    found = PromptCache(path, "model", 5000).get([*prompts, "something new"])
    assert len(found) == 1200
    assert all((found[prompt] == vector).all() for prompt, vector in zip(prompts, kept, strict=True))


def test_models_do_not_share_vectors(path):
    """Embeddings of one model are not used for another."""
    PromptCache(path, "one", 100).put(["red"], vectors(1))
    assert PromptCache(path, "two", 100).get(["red"]) == {}


def test_it_is_bounded(path):
    """Beyond the bound the oldest entries are evicted."""
    cache = PromptCache(path, "model", 10)
    for number in range(25):
        cache.put([str(number)], vectors(1))
    assert set(cache.get([str(number) for number in range(25)])) == {str(number) for number in range(15, 25)}


@pytest.mark.parametrize("prompt", ["", "ümlaut 🍌", "\ud800", "a\0b", "x" * 10_000])
def test_any_text_is_a_key(path, prompt):
    """Empty, long, odd and broken texts are stored like others."""
    cache = PromptCache(path, "model", 10)
    cache.put([prompt], vectors(1))
    assert list(cache.get([prompt, "other"])) == [prompt]


def test_a_file_that_cannot_be_used_is_no_error(tmp_path):
    """A broken file or a folder that cannot be written is logged once, and the cache stays empty."""
    broken = tmp_path / "prompts.sqlite"
    broken.write_bytes(b"not a database" * 100)
    (tmp_path / "file").write_text("")
    for path in (broken, tmp_path / "file" / "prompts.sqlite"):
        cache = PromptCache(path, "model", 10)
        cache.put(["red"], vectors(1))
        assert cache.get(["red"]) == {}


WRITER = """
import sys
from pathlib import Path
import numpy as np
from app.model.encoder import PromptCache
cache = PromptCache(Path(sys.argv[1]), "model", 10_000, timeout_s=60)
for number in range(100):
    cache.put([f"{sys.argv[2]} {number}"], np.full((1, 4), number, np.float32))
"""


def test_processes_share_it(path):
    """Two processes write at once, and everything of both is there."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("one", "two")]
    assert [writer.wait() for writer in writers] == [0, 0]
    found = PromptCache(path, "model", 10_000).get([f"{name} {n}" for name in ("one", "two") for n in range(100)])
    assert len(found) == 200


def test_the_encoder_encodes_only_what_is_missing(path):
    """With a cache, a prompt is encoded once in its life, and a doubled one once in its call."""
    engine = NumberEngine()
    for expected in ([3], [3, 1], [3, 1]):
        encoder = Encoder(lambda texts: np.array([[int(t)] for t in texts]), engine, 3, PromptCache(path, "m", 100))
        prompts = ["1", "2", "3", "2"] if len(expected) == 1 else ["3", "2", "4", "1"]
        assert np.allclose(encoder.prompts(prompts)[:, 0], np.cos([int(each) for each in prompts]), atol=1e-6)
        assert engine.calls == expected
