"""The graphs compute what open_clip computes, and contain no duplicates and no build paths."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from app.exporter.graph import write_graph
from app.exporter.recipe import read_recipe
from app.exporter.towers import CausalTextTower, PictureTower, TextTower, text_tower
from app.exporter.weights import build
from tests.exporter.conftest import ARCHITECTURES, silence

TEXTS = ["", "an apple", "a much longer text about apples and pears " * 20, "milk, eggs, 1/2 loaf of bread"]


def original(name: str = "Tiny"):
    return build(read_recipe(name, "none"), silence)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory, written: Callable[..., None]) -> Path:
    """Return both towers of Tiny as files."""
    folder, model = tmp_path_factory.mktemp("graphs"), original().model
    written(PictureTower(model).eval(), torch.zeros(2, 3, 32, 32), "pixels", folder / "visual.onnx")
    written(text_tower(model).eval(), torch.ones(2, 77, dtype=torch.int64), "tokens", folder / "text.onnx")
    return folder


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_towers_equal_the_model(name):
    """Rewritten attention, the lone class token and the early stop change no number beyond rounding."""
    made = original(name)
    size = made.model.visual.preprocess_cfg["size"]
    pixels = torch.randn(3, 3, *(size if isinstance(size, tuple) else (size, size)))
    with torch.no_grad():
        torch.testing.assert_close(PictureTower(made.model).eval()(pixels), made.model.encode_image(pixels))
        for texts in (TEXTS, TEXTS[:1], TEXTS[2:3]):
            tokens = made.tokenizer(texts)
            torch.testing.assert_close(text_tower(made.model).eval()(tokens), made.model.encode_text(tokens))


def test_the_model_is_left_as_it_was():
    """Towers are copies that share the weights: the model they are compared with is not modified."""
    model = original().model
    PictureTower(model), text_tower(model)
    assert type(model.visual.transformer.resblocks[0].attn) is torch.nn.MultiheadAttention
    assert type(model.visual.transformer.resblocks[-1]).__name__ == "ResidualAttentionBlock"
    assert PictureTower(model).model.visual.proj is model.visual.proj


def test_only_causal_texts_stop_early():
    """A tower whose tokens see the whole text, or that reads another place than its end, keeps all columns."""
    assert isinstance(text_tower(original("Tiny").model), CausalTextTower)
    assert isinstance(text_tower(original("TinyTimm").model), TextTower)


def test_padding_costs_nothing(graphs):
    """Behind the last end of text in a batch nothing is computed: the graph gives the same for any padding there."""
    session = onnxruntime.InferenceSession(graphs / "text.onnx")
    tokens = original().tokenizer(TEXTS[1:2]).numpy()  # (1, 77)
    other = np.where(np.arange(77) > tokens.argmax(), 5, tokens)
    [first], [second] = (session.run(["embedding"], {"tokens": values}) for values in (tokens, other))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("name", "argument"), [("visual", "pixels"), ("text", "tokens")])
def test_a_graph_is_clean(graphs, name, argument):
    """A graph has one input, one output, a free batch size, each weight once and used, and no local path."""
    path = graphs / f"{name}.onnx"
    graph = onnx.load(path).graph
    onnx.checker.check_model(path, full_check=True)
    assert [value.name for value in graph.input] == [argument]
    assert [value.name for value in graph.output] == ["embedding"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert graph.output[0].type.tensor_type.shape.dim[1].dim_value == 32
    used = {value for node in graph.node for value in node.input}
    assert {constant.name for constant in graph.initializer} <= used
    large = [constant.raw_data for constant in graph.initializer if len(constant.raw_data) > 4096]
    assert len(set(large)) == len(large)
    weights = original().model.visual if name == "visual" else original().model.transformer
    numbers = sum(value.numel() for value in weights.parameters()) + (49408 + 77 + 32 + 77) * 64 * (name == "text")
    assert path.stat().st_size < 4 * numbers * 1.1 + 60_000
    assert str(Path.cwd()).encode() not in path.read_bytes()


def test_graphs_are_made_of_operators_that_runtimes_know(graphs):
    """Normalisation and activation are single operators, attention is products and a softmax, shapes are constants."""
    operators = [node.op_type for node in onnx.load(graphs / "visual.onnx").graph.node]
    assert operators.count("LayerNormalization") == 6
    assert operators.count("Gelu") == operators.count("Softmax") == 2
    assert operators.count("MatMul") == 2 * 8 + 1  # query, key, value, out, the two of attention, the two of the MLP
    assert {"Erf", "Sqrt", "Where", "If", "Cast"}.isdisjoint(operators)
    assert operators.count("Shape") <= 1


def test_the_same_model_gives_the_same_bytes(graphs, tmp_path):
    """A second export of the same weights has the same checksum."""
    write_graph(PictureTower(original().model).eval(), torch.zeros(2, 3, 32, 32), "pixels", tmp_path / "visual.onnx")
    assert (tmp_path / "visual.onnx").read_bytes() == (graphs / "visual.onnx").read_bytes()
