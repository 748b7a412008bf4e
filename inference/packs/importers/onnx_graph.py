"""ONNX files: taken as they are, or with block-quantised weights folded into float ones."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from inference.packs.catalogue import Network

IR_VERSION = 10  # the one that came with opset 21, the newest opset written here


def copied(network: Network, files: tuple[Path, ...]) -> bytes:
    """The file as it came, after a look at whether it is a valid ONNX model."""
    data = files[0].read_bytes()
    onnx.checker.check_model(onnx.load_from_string(data))
    return data


def dequantised(network: Network, files: tuple[Path, ...]) -> bytes:
    """Float weights instead of DequantizeLinear nodes, and the dynamic dimensions that the catalogue names."""
    model = onnx.load(files[0])
    fold_weights(model.graph)
    free_dimensions(model.graph, network.input.shape)
    model.ir_version = IR_VERSION
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def fold_weights(graph: onnx.GraphProto) -> None:
    """Replaces every DequantizeLinear and Reshape of constants by the constant it computes.

    What no node reads as an input any more leaves the graph's inputs, where old files list all their weights.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type not in ("DequantizeLinear", "Reshape") or node.input[0] not in constants:
            kept.append(node)
        elif node.op_type == "DequantizeLinear":
            constants[node.output[0]] = _dequantise(node, constants)
        else:
            constants[node.output[0]] = constants[node.input[0]].reshape(constants[node.input[1]])

    used = {name for node in kept for name in node.input}
    inputs = [value for value in graph.input if value.name in used - constants.keys()]
    for field in (graph.node, graph.input, graph.initializer, graph.value_info):
        del field[:]
    graph.node.extend(kept)
    graph.input.extend(inputs)
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items() if name in used
    )


def _dequantise(node: onnx.NodeProto, constants: dict[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    """(x - zero point) * scale, with one scale and zero point per tensor, per slice of an axis or per block of it."""
    values = constants[node.input[0]]
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)

    def spread(parameter: NDArray[np.generic]) -> NDArray[np.generic]:
        if block:
            return np.repeat(parameter, block, axis=axis)[tuple(map(slice, values.shape))]
        if parameter.ndim == 1 and parameter.size > 1:
            return parameter.reshape([-1 if i == axis % values.ndim else 1 for i in range(values.ndim)])
        return parameter

    scale = spread(constants[node.input[1]]).astype(np.float32)
    zero_point = spread(constants[node.input[2]]).astype(np.int32) if len(node.input) > 2 else np.int32(0)
    folded: NDArray[np.float32] = (values.astype(np.int32) - zero_point).astype(np.float32) * scale
    return folded


def free_dimensions(graph: onnx.GraphProto, shape: tuple[int | str, ...]) -> None:
    """Gives the graph's only input this shape, whose names are dynamic dimensions, and lets the outputs follow.

    Reshapes that wrote the old batch of 1 into their target now copy the batch of what they reshape.
    """
    for dimension, size in zip(graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        if isinstance(size, str):
            dimension.dim_param = size
        else:
            dimension.dim_value = size
    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for tensor in graph.initializer:
        target = numpy_helper.to_array(tensor)
        if tensor.name in targets and target[0] == 1:
            tensor.CopyFrom(numpy_helper.from_array(np.concatenate([[0], target[1:]]).astype(np.int64), tensor.name))
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
