"""Every engine that runs bundles gives the same answers, from many threads at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.errors import EngineError
from app.model.bundle import open_bundle
from app.model.engines.int8 import kept_int8, open_int8
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.model.engines.openvino import OpenVinoEngine
from tests.bundles import write_bundle

ENGINES = {
    "onnxruntime": OnnxRuntimeEngine,
    "openvino f32": lambda bundle, threads: OpenVinoEngine(bundle, threads, precision="f32"),
    "openvino": OpenVinoEngine,
    "onnxruntime int8": lambda bundle, threads: open_int8(
        bundle, threads, kept_int8(bundle, threads, bundle.folder.parent / "int8")[0]
    ),
}


@pytest.fixture(params=ENGINES)
def opening(request):
    return ENGINES[request.param]


@pytest.fixture
def engine(tmp_path, opening):
    return opening(open_bundle(write_bundle(tmp_path / "tiny")), threads=2)


def test_both_towers_answer(engine):
    """Pictures become their mean colour, tokens the sum of their rows, for any batch size, one after another."""
    for count in (1, 3, 32, 2):
        pixels = np.random.default_rng(0).normal(size=(count, 3, 8, 8)).astype(np.float32)
        assert np.allclose(engine.encode_pixels(pixels), pixels.mean(axis=(2, 3)), atol=4e-3)
        tokens = np.zeros((count, 8), np.int64)
        tokens[:, 0] = 1
        assert engine.encode_tokens(tokens).tolist() == [[1, -1, -1]] * count


def test_threads_do_not_mix_answers(engine):
    """200 calls from 8 threads each get their own answer."""

    def ask(value: int) -> float:
        return float(engine.encode_pixels(np.full((1, 3, 8, 8), value, np.float32))[0, 0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(200))) == list(range(200))


def test_an_answer_is_not_overwritten_by_the_next(engine):
    """The returned array belongs to the caller."""
    first = engine.encode_pixels(np.full((1, 3, 8, 8), 1, np.float32))
    engine.encode_pixels(np.full((1, 3, 8, 8), 2, np.float32))
    assert first.tolist() == [[1, 1, 1]]


def test_a_graph_that_is_none_is_refused(tmp_path, opening):
    """A file that the engine cannot load is one line that names it."""
    bundle = open_bundle(write_bundle(tmp_path / "tiny"))
    (bundle.folder / "visual.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"cannot load .*visual\.onnx") as raised:
        opening(bundle, threads=1)
    assert "\n" not in str(raised.value)


def test_nothing_is_reported_to_anyone():
    """OpenVINO's telemetry, which would report each start over the network, is never loaded."""
    script = (
        "import sys, app.model.engines.openvino; "
        "print([m for m in sys.modules if m.startswith('openvino_telemetry') and sys.modules[m]])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_16_bit_weights_are_kept_and_used_again(tmp_path):
    """The first bfloat16 engine writes the graphs, the next reads them, and float32 is not touched by it."""
    bundle, cache = open_bundle(write_bundle(tmp_path / "tiny")), tmp_path / "cache"
    pixels = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    for precision in ("f32", "bf16", "bf16", "f32"):
        engine = OpenVinoEngine(bundle, 1, cache, precision)
        assert np.allclose(engine.encode_pixels(pixels), pixels.mean(axis=(2, 3)), atol=4e-3)
    assert [path.name for path in cache.iterdir()] == [bundle.checksum]
    (cache / bundle.checksum / "visual.xml").write_text("no graph")
    with pytest.raises(EngineError, match="visual.xml"):
        OpenVinoEngine(bundle, 1, cache, "bf16")


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    """Without a writable cache the graphs are read unchanged."""
    (tmp_path / "file").write_text("")
    engine = OpenVinoEngine(open_bundle(write_bundle(tmp_path / "tiny")), 1, tmp_path / "file" / "cache", "bf16")
    assert engine.encode_pixels(np.ones((1, 3, 8, 8), np.float32)).tolist() == [[1, 1, 1]]
