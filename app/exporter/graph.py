"""Write a torch module as an ONNX file."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app.log import quiet

OPSET = 20  # the first with Gelu as one operator


def write_graph(
    tower: nn.Module, example: Tensor, name: str, path: Path, external: bool | None = None, longest: int | None = None
) -> None:
    """Export `tower` as a graph from `name` to `embedding` with a dynamic first axis; with `longest` also the second.

    Weights of more than 1.5 GB go to a second file, `path` with `.data` appended, because an ONNX file is limited to 2
    GB; with `external` they always do.
    """
    free = {0: torch.export.Dim("batch", min=1)}
    if longest:
        free[1] = torch.export.Dim("length", min=1, max=longest)
    with torch.no_grad(), quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's exporter warns about torch's own parts
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            tower, (example,), dynamo=True, input_names=[name], opset_version=OPSET, verbose=False,
            dynamic_shapes=(free,),
        )  # fmt: skip
    if program is None:
        raise RuntimeError("torch gave no graph")
    _tidy(program.model.graph, name)
    program.save(path, external_data=external)


def _tidy(graph: Any, name: str) -> None:
    """Name the output, and remove the exporter's metadata: it has source lines and paths of the exporting machine."""
    values = [*graph.inputs, *graph.outputs, *graph.initializers.values()]
    for number, node in enumerate(graph):
        node.metadata_props.clear()
        node.doc_string = None
        node.name = f"{node.op_type}_{number}"
        for value in node.outputs:
            value.name = f"{name}_{value.name}"  # torch names an embedding lookup like our output
            values.append(value)
    for value in values:
        value.metadata_props.clear()
        value.doc_string = None
    graph.metadata_props.clear()
    graph.outputs[0].name = "embedding"
