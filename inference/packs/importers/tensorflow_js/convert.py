"""A whole TensorFlow.js graph model to an ONNX file."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from inference.packs.catalogue import Input, Network, Output
from inference.packs.importers import javascript
from inference.packs.importers.tensorflow_js.graph import Node, nodes_for, reference, weights_of
from inference.packs.importers.tensorflow_js.layout import Form, GraphBuilder, Tensor
from inference.packs.importers.tensorflow_js.operators import OPERATORS

_FOLDED = {"ExpandDims", "Identity", "Reshape", "Squeeze"}  # operators that take a constant to a constant
_DTYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}


def from_json(network: Network, files: tuple[Path, ...]) -> bytes:
    """Files: the model's JSON, then its weight files under the names that the JSON has for them."""
    model = json.loads(files[0].read_text(encoding="utf-8"))
    return converted(model, {path.name: path.read_bytes() for path in files[1:]}, network.input, network.outputs)


def from_javascript(network: Network, files: tuple[Path, ...]) -> bytes:
    """Files: a module that exports the model, then modules that export the weight files in base64.

    `<shard>.min.js` holds what the model calls `<shard>`.
    """
    model = javascript.exported(files[0].read_text(encoding="utf-8"))
    shards = {
        path.name.removesuffix(".min.js"): base64.b64decode(javascript.exported(path.read_text(encoding="utf-8")))
        for path in files[1:]
    }
    return converted(model, shards, network.input, network.outputs)


def converted(model: dict[str, Any], shards: dict[str, bytes], given: Input, wanted: tuple[Output, ...]) -> bytes:
    """The ONNX file of a graph model, with the input `given` and the outputs `wanted`, batched.

    Raises UnsupportedOperator for what it cannot convert, ValueError for a model that is not a graph model.
    """
    if model.get("format") != "graph-model":
        raise ValueError(f"the format is {model.get('format')!r}, not a graph model")
    weights = weights_of(model["weightsManifest"], shards)
    builder = GraphBuilder(input_name=given.name)
    found: dict[str, tuple[Tensor, ...]] = {}
    outputs = [reference(output.tensor or output.name) for output in wanted]
    for node in nodes_for(model["modelTopology"], [name for name, _ in outputs]):
        inputs = [found[name][number] for name, number in node.inputs]
        found[node.name] = _tensors(builder, node, inputs, weights, given)

    results = []
    for (name, number), output in zip(outputs, wanted, strict=True):
        tensor = found[name][number]
        row = builder.last(tensor) if tensor.shape[:1] == (1,) else tensor
        builder.output(output.name, row.name)
        results.append(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["batch", *row.row]))
    entry = helper.make_tensor_value_info(given.name, _DTYPES[given.dtype], given.shape)
    return builder.model([entry], results)


def _tensors(
    builder: GraphBuilder, node: Node, inputs: list[Tensor], weights: dict[str, NDArray[Any]], given: Input
) -> tuple[Tensor, ...]:
    """What one node computes."""
    if node.operator == "Const":
        return (builder.known(weights[node.name]),)
    if node.operator == "Placeholder":
        return (_entry(node, given),)
    if node.operator not in OPERATORS:
        raise node.unsupported("is unknown")
    if node.operator not in _FOLDED and all(tensor.value is not None for tensor in inputs):
        raise node.unsupported("has only constant inputs")
    result = OPERATORS[node.operator](builder, node, inputs)
    return result if isinstance(result, tuple) else (result,)


def _entry(node: Node, given: Input) -> Tensor:
    sizes = [size if isinstance(size, int) else -1 for size in given.shape]
    declared = node.attributes.get("shape", [])
    if len(declared) != len(sizes) or any(-1 != a != b for a, b in zip(declared[1:], sizes[1:], strict=True)):
        raise ValueError(f"the graph's input has the shape {declared}, the catalogue says {given.shape}")
    return Tensor(given.name, (1, *(int(np.abs(size)) for size in sizes[1:])), Form.LAST)
