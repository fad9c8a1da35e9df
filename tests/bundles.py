"""A bundle of a few kilobytes that sees colours: its graphs are real, and its tokenizer knows the colours' names."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from app.model.bundle import make_proof, probe_pixels
from tests.fakes import COLOURS

LENGTH = 8


def write_bundle(folder: Path, visual: onnx.ModelProto | None = None, **changes: object) -> Path:
    """A bundle in `folder`, with another picture tower or some of config.json's fields changed."""
    folder.mkdir(parents=True)
    onnx.save(visual or _visual(), folder / "visual.onnx")
    onnx.save(_text(), folder / "text.onnx")
    _tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "MODEL_CARD.md").write_text("# Sees colours\n")
    files = ("visual.onnx", "text.onnx", "tokenizer.json", "MODEL_CARD.md")
    config = {
        "format_version": 1,
        "name": "tiny",
        "origin": "made by hand",
        "licence": "Apache-2.0",
        "image_size": 8,
        "resize_mode": "shortest",
        "interpolation": "bicubic",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "context_length": LENGTH,
        "embedding_size": 3,
        "logit_scale": 20.0,
        "calibration": {"temperature": 1.0, "known_margin": 0.1},
        "proof": make_proof(probe_pixels(8).mean(axis=(2, 3)), np.float32([[-1, 1, -1]])).model_dump(),
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


def write_products(folder: Path, outlier: float = 1) -> Path:
    """A bundle whose picture tower is two matrix products, with one value between them `outlier` times the others."""
    first = np.random.default_rng(0).normal(size=(192, 33)).astype(np.float32)
    first[:, 32] *= outlier
    second = np.eye(33, 32, dtype=np.float32)  # which leaves the outlier out
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),  # (N, 3, 8, 8) -> (N, 192)
        helper.make_node("MatMul", ["flat", "first"], ["between"]),  # (N, 33)
        helper.make_node("MatMul", ["between", "second"], ["embedding"]),  # (N, 32)
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, 8, 8])
    constants = [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")]
    original = probe_pixels(8).reshape(1, 192) @ first @ second
    proof = make_proof(original, np.float32([[-1, 1, -1]])).model_dump()
    return write_bundle(folder, _model(nodes, pixels, constants, 32), embedding_size=32, proof=proof)


def _visual() -> onnx.ModelProto:
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),  # (N, 3, S, S) -> (N, 3, 1, 1)
        helper.make_node("Flatten", ["pooled"], ["embedding"]),  # (N, 3)
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, 8, 8])
    return _model(nodes, pixels, [])


def _text() -> onnx.ModelProto:
    table = np.array([[0, 0, 0], *COLOURS.values()], np.float32)
    table[1:] = table[1:] / 127.5 - 1
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["words"]),  # (N, L) -> (N, L, 3)
        helper.make_node("ReduceSum", ["words", "axes"], ["embedding"], keepdims=0),  # (N, 3)
    ]
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", LENGTH])
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axes")]
    return _model(nodes, tokens, constants)


def _model(nodes: list, argument: onnx.ValueInfoProto, constants: list, size: int = 3) -> onnx.ModelProto:
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", size])
    graph = helper.make_graph(nodes, "tower", [argument], [embedding], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _tokenizer() -> Tokenizer:
    words = {"[none]": 0} | {colour: number for number, colour in enumerate(COLOURS, start=1)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[none]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH, pad_id=0, pad_token="[none]")
    return tokenizer
