"""The gate accepts only what equals open_clip."""

import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from app.exporter import probes
from app.exporter.gate import Row, check, onnxruntime
from app.exporter.recipe import read_recipe
from app.exporter.weights import ask_original, build
from app.model.bundle import open_bundle
from app.model.engines import CLOSE, EXACT
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from tests.exporter.conftest import silence


class Changed(OnnxRuntimeEngine):
    """An engine whose embeddings are slightly or completely wrong."""

    def __init__(self, bundle, change, name):
        super().__init__(bundle, 1)
        self.change, self.name = change, name

    def encode_pixels(self, pixels):
        return self.change(super().encode_pixels(pixels))


def turned(vectors, angle):
    """Return vectors (N, D), each rotated by an angle."""
    turn = np.exp(1j * angle) * (vectors[:, ::2] + 1j * vectors[:, 1::2])
    return np.stack([turn.real, turn.imag], axis=-1).reshape(vectors.shape).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(shared):
    return open_bundle(shared)


@pytest.fixture(scope="module")
def reference():
    return ask_original(build(read_recipe("Tiny", "none"), silence))


def test_an_exported_bundle_passes(bundle, reference):
    """Its tokens are open_clip's, its vectors are open_clip's to 1e-7."""
    [row] = check(bundle, reference, [onnxruntime], silence)
    assert row.passed
    assert row.engine == "onnxruntime float32"
    assert min(row.pictures, row.prompts) > 1 - 1e-7


@pytest.mark.parametrize(
    ("change", "float32", "bfloat16"),
    [
        (lambda x: x * 3, True, True),  # of no length in particular
        (lambda x: turned(x, 0.02), False, True),  # cosine 0.9998
        (lambda x: turned(x, 0.06), False, False),  # cosine 0.9982
        (lambda x: x[::-1], False, False),
        (lambda x: x * np.float32("nan"), False, False),
        (lambda x: x[:, :-1], False, False),
    ],
    ids=["scaled", "close", "far", "mixed up", "no numbers", "too short"],
)
def test_each_precision_has_its_measure(bundle, reference, change, float32, bfloat16):
    """float32 has to be exact, other precisions close; vectors in wrong order, shape or without numbers never pass."""
    engines = [
        lambda bundle: Changed(bundle, change, "some float32"),
        lambda bundle: Changed(bundle, change, "some bf16"),
    ]
    assert [row.passed for row in check(bundle, reference, engines, silence)] == [float32, bfloat16]


def test_other_preprocessing_is_caught(bundle, reference):
    """Another mean, filter or way of resizing in config.json fails on pictures alone."""
    for change in ({"mean": (0.5, 0.4, 0.4)}, {"interpolation": "bicubic"}, {"resize_mode": "shortest"}):
        changed = dataclasses.replace(bundle, config=bundle.config.model_copy(update=change))
        [row] = check(changed, reference, [onnxruntime], silence)
        assert not row.passed
        assert row.pictures < EXACT < row.prompts


def test_another_tokenizer_is_caught(bundle, reference):
    """A tokenizer file that forgets capitals fails, even where vectors would be close."""
    tokenizer = json.loads(bundle.tokenizer.to_str())
    tokenizer["normalizer"] = None
    other = type(bundle.tokenizer).from_str(json.dumps(tokenizer))
    [row] = check(dataclasses.replace(bundle, tokenizer=other), reference, [onnxruntime], silence)
    assert not row.same_tokens
    assert not row.passed


def test_swapped_weights_are_caught(bundle, make, reference):
    """The picture tower of another seed fails on pictures alone."""
    other = make(seed=1)
    shutil.copy(bundle.folder / "text.onnx", other / "text.onnx")
    [row] = check(dataclasses.replace(bundle, folder=other), reference, [onnxruntime], silence)
    assert row.pictures < CLOSE < EXACT < row.prompts


def test_an_engine_is_asked_once(bundle, reference):
    """Two factories of the same engine and precision give one row."""
    assert len(check(bundle, reference, [onnxruntime, onnxruntime], silence)) == 1


def test_the_measure_is_per_precision():
    """An engine's name determines its required accuracy."""
    measures = {name: Row(name, 1, 1, True).wanted for name in ("a float32", "openvino 2026.4 f32", "a bf16", "a int8")}
    assert list(measures.values()) == [EXACT, EXACT, CLOSE, CLOSE]


def test_the_probes_are_drawn_the_same_each_time():
    """They are JPEG files of many shapes, wide, tall and smaller than any model's pictures."""
    first, second = probes.pictures(), probes.pictures()
    assert first == second
    pictures = [Image.open(io.BytesIO(data)) for data in first]
    assert {picture.format for picture in pictures} == {"JPEG"}
    assert {picture.mode for picture in pictures} == {"RGB", "L"}
    assert len({picture.size for picture in pictures}) > 10
