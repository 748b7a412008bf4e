"""Operators that work number by number: they keep the layout of what they get."""

from collections.abc import Callable

import numpy as np

from inference.packs.importers.tensorflow_js.graph import Node
from inference.packs.importers.tensorflow_js.layout import Form, GraphBuilder, Tensor

Convert = Callable[[GraphBuilder, Node, list[Tensor]], Tensor]


def unary(operator: str) -> Convert:
    """A function of one number."""

    def convert(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
        (tensor,) = inputs
        return _like(tensor, builder.add(operator, tensor.name))

    return convert


def broadcast(operator: str) -> Convert:
    """A function of several numbers, with broadcasting."""

    def convert(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
        names, shape, form = aligned(builder, node, inputs)
        return Tensor(builder.add(operator, *names), shape, form)

    return convert


def minimum(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    return _bounded(builder, node, inputs, "Min")


def maximum(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    return _bounded(builder, node, inputs, "Max")


def _bounded(builder: GraphBuilder, node: Node, inputs: list[Tensor], operator: str) -> Tensor:
    """A constant bound becomes a Clip, which ONNX Runtime merges into the convolution before it."""
    tensor, bound = sorted(inputs, key=lambda given: given.value is not None)
    if bound.value is None or bound.value.ndim:
        return broadcast(operator)(builder, node, inputs)
    limit = builder.constant(bound.value)
    limits = [limit] if operator == "Max" else ["", limit]
    return _like(tensor, builder.add("Clip", tensor.name, *limits))


def aligned(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> tuple[list[str], tuple[int, ...], Form]:
    """ONNX values of the tensors that broadcast against each other as the tensors do, their joint shape and form."""
    shape = np.broadcast_shapes(*(tensor.shape for tensor in inputs))
    moving = [tensor for tensor in inputs if tensor.value is None]
    if not all(_keeps_batch(tensor, len(shape)) for tensor in inputs):
        return [_widened(builder, tensor, len(shape)) for tensor in inputs], shape, Form.STACKED
    if len(shape) == 4 and any(tensor.form is Form.FIRST for tensor in moving):
        return [_channels_first(builder, tensor) for tensor in inputs], shape, Form.FIRST
    names = [builder.last(tensor).name if tensor.value is None else builder.constant(tensor.value) for tensor in inputs]
    return names, shape, Form.LAST


def _keeps_batch(tensor: Tensor, rank: int) -> bool:
    """Whether the tensor's first axis, if it meets the joint shape's first, is the batch or a 1 to repeat."""
    if tensor.value is not None:
        return len(tensor.shape) < rank or tensor.shape[:1] == (1,) or rank == 0
    return tensor.form is not Form.STACKED and len(tensor.shape) == rank


def _widened(builder: GraphBuilder, tensor: Tensor, rank: int) -> str:
    if tensor.value is not None:
        return builder.constant(tensor.value)
    stacked = builder.stacked(tensor)
    missing = rank - len(tensor.shape)
    if not missing:
        return stacked.name
    return builder.add("Unsqueeze", stacked.name, builder.constant(range(1, 1 + missing), np.int64))


def _channels_first(builder: GraphBuilder, tensor: Tensor) -> str:
    if tensor.value is None:
        return builder.first(tensor).name
    if tensor.value.ndim == 0:
        return builder.constant(tensor.value)
    padded = tensor.value.reshape((1,) * (4 - tensor.value.ndim) + tensor.value.shape)
    return builder.constant(padded.transpose(0, 3, 1, 2))


def relu6(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    (tensor,) = inputs
    low, high = builder.constant(0.0, np.float32), builder.constant(6.0, np.float32)
    return _like(tensor, builder.add("Clip", tensor.name, low, high))


def prelu(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: tensor, slope."""
    names, shape, form = aligned(builder, node, inputs)
    return Tensor(builder.add("PRelu", *names), shape, form)


def squared_difference(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    names, shape, form = aligned(builder, node, inputs)
    difference = builder.add("Sub", *names)
    return Tensor(builder.add("Mul", difference, difference), shape, form)


def floor_mod(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """The remainder with the divisor's sign."""
    (dividend, divisor), shape, form = aligned(builder, node, inputs)
    return Tensor(_remainder(builder, node, dividend, divisor), shape, form)


def floor_div(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """The quotient rounded down; ONNX's integer division rounds towards zero."""
    (dividend, divisor), shape, form = aligned(builder, node, inputs)
    if node.attributes.get("T") == "DT_FLOAT":
        return Tensor(builder.add("Floor", builder.add("Div", dividend, divisor)), shape, form)
    exact = builder.add("Sub", dividend, _remainder(builder, node, dividend, divisor))
    return Tensor(builder.add("Div", exact, divisor), shape, form)


def _remainder(builder: GraphBuilder, node: Node, dividend: str, divisor: str) -> str:
    if node.attributes.get("T") != "DT_FLOAT":
        return builder.add("Mod", dividend, divisor)
    quotient = builder.add("Floor", builder.add("Div", dividend, divisor))
    return builder.add("Sub", dividend, builder.add("Mul", quotient, divisor))


def cast(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    (tensor,) = inputs
    kinds = {"DT_FLOAT": 1, "DT_INT32": 7, "DT_BOOL": 9}  # onnx.TensorProto's FLOAT, INT64, BOOL
    target = node.attributes["DstT"]
    if target not in kinds:
        raise node.unsupported(f"casts to {target}")
    return _like(tensor, builder.add("Cast", tensor.name, to=kinds[target]))


def identity(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    return inputs[0]


def _like(tensor: Tensor, name: str) -> Tensor:
    return Tensor(name, tensor.shape, tensor.form)
