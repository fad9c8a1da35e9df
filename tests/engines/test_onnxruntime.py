"""ONNX Runtime runs a bundle's graphs, from many threads at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.bundle import open_bundle
from app.engines.onnxruntime import OnnxRuntimeEngine
from app.errors import EngineError
from tests.bundles import write_bundle


@pytest.fixture
def engine(tmp_path):
    return OnnxRuntimeEngine(open_bundle(write_bundle(tmp_path / "tiny")), threads=2)


def test_both_towers_answer(engine):
    """Pictures become their mean colour, tokens the sum of their rows, for any batch size."""
    for count in (1, 3, 32):
        pixels = np.random.default_rng(0).normal(size=(count, 3, 8, 8)).astype(np.float32)
        assert np.allclose(engine.encode_pixels(pixels), pixels.mean(axis=(2, 3)), atol=1e-6)
        tokens = np.zeros((count, 8), np.int64)
        tokens[:, 0] = 1
        assert engine.encode_tokens(tokens).tolist() == [[1, -1, -1]] * count


def test_threads_do_not_mix_answers(engine):
    """200 calls from 8 threads each get their own answer."""

    def ask(value: int) -> float:
        return float(engine.encode_pixels(np.full((1, 3, 8, 8), value, np.float32))[0, 0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(200))) == list(range(200))


def test_a_graph_that_is_none_is_refused(tmp_path):
    """A file that ONNX Runtime cannot load is one line that names it."""
    bundle = open_bundle(write_bundle(tmp_path / "tiny"))
    (bundle.folder / "visual.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"cannot load .*visual\.onnx") as raised:
        OnnxRuntimeEngine(bundle, threads=1)
    assert "\n" not in str(raised.value)
