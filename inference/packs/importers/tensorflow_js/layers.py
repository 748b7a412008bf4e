"""Convolutions, pooling, resizing and matrix products."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.packs.importers.builder import same_padding
from inference.packs.importers.tensorflow_js import elementwise
from inference.packs.importers.tensorflow_js.elementwise import Convert
from inference.packs.importers.tensorflow_js.graph import Node
from inference.packs.importers.tensorflow_js.layout import Form, GraphBuilder, Tensor

_ACTIVATIONS: dict[str, Convert] = {
    "Relu": elementwise.unary("Relu"),
    "Relu6": elementwise.relu6,
    "Sigmoid": elementwise.unary("Sigmoid"),
    "Elu": elementwise.unary("Elu"),
}


def window(node: Node, tensor: Tensor, kernel: tuple[int, int]) -> tuple[dict[str, Any], tuple[int, int]]:
    """ONNX attributes (pads, strides, dilations) of a sliding window over height and width, and its output size."""
    if node.attributes.get("data_format", "NHWC") != "NHWC":
        raise node.unsupported("does not have its channels last")
    padding = node.attributes["padding"]
    strides = node.attributes["strides"][1:3]
    dilations = node.attributes.get("dilations", [1, 1, 1, 1])[1:3]
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    edges = list(zip(tensor.shape[1:3], reach, strides, strict=True))
    if padding == "SAME":
        pads = [same_padding(*edge) for edge in edges]
    elif padding == "VALID":
        pads = [(0, 0), (0, 0)]
    else:
        raise node.unsupported(f"has {padding} padding")
    height, width = (
        (size + sum(pad) - reach) // stride + 1 for (size, reach, stride), pad in zip(edges, pads, strict=True)
    )
    attributes = {
        "kernel_shape": kernel,
        "strides": strides,
        "dilations": dilations,
        "pads": [pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
    }
    return attributes, (height, width)


def convolution(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: picture, filter (height, width, in, out), and what is fused: bias, slope of a Prelu."""
    weights = constant(node, inputs[1])
    groups = inputs[0].shape[3] // weights.shape[2]
    return _convolved(builder, node, inputs, weights.transpose(3, 2, 0, 1), groups)


def depthwise_convolution(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: picture, filter (height, width, in, multiplier), and what is fused."""
    weights = constant(node, inputs[1])
    height, width, channels, multiplier = weights.shape
    weights = weights.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return _convolved(builder, node, inputs, weights, channels)


def _convolved(builder: GraphBuilder, node: Node, inputs: list[Tensor], weights: NDArray[Any], groups: int) -> Tensor:
    """`weights` in ONNX order: (out, in / groups, height, width)."""
    picture = builder.first(inputs[0])
    attributes, size = window(node, picture, (weights.shape[2], weights.shape[3]))
    fused = list(node.attributes.get("fused_ops", []))
    names = [picture.name, builder.constant(weights)]
    extra = inputs[2:]
    if fused[:1] == ["BiasAdd"]:
        names.append(builder.constant(constant(node, extra.pop(0))))
        fused.pop(0)
    convolved = Tensor(
        builder.add("Conv", *names, group=groups, **attributes), (1, *size, weights.shape[0]), Form.FIRST
    )
    return _activated(builder, node, convolved, fused, extra)


def _activated(builder: GraphBuilder, node: Node, tensor: Tensor, fused: list[str], extra: list[Tensor]) -> Tensor:
    for activation in fused:
        if activation == "Prelu":
            tensor = elementwise.prelu(builder, node, [tensor, extra.pop(0)])
        elif activation in _ACTIVATIONS:
            tensor = _ACTIVATIONS[activation](builder, node, [tensor])
        else:
            raise node.unsupported(f"is fused with {activation}")
    return tensor


def max_pool(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    return _pooled(builder, node, inputs[0], "MaxPool")


def average_pool(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """The mean over the part of the window that lies in the picture, as TensorFlow has it."""
    return _pooled(builder, node, inputs[0], "AveragePool", count_include_pad=0)


def _pooled(builder: GraphBuilder, node: Node, tensor: Tensor, operator: str, **extra: int) -> Tensor:
    picture = builder.first(tensor)
    height, width = node.attributes["ksize"][1:3]
    attributes, size = window(node, picture, (height, width))
    if attributes.pop("dilations") != [1, 1]:
        raise node.unsupported("is dilated")
    return Tensor(builder.add(operator, picture.name, **attributes, **extra), (1, *size, picture.shape[3]), Form.FIRST)


def resize_bilinear(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: picture, (height, width). Pixel centres lie where the node's two flags say."""
    picture = builder.first(inputs[0])
    height, width = (int(size) for size in constant(node, inputs[1]))
    if node.attributes.get("align_corners"):
        mode = "align_corners"
    elif node.attributes.get("half_pixel_centers"):
        mode = "half_pixel"
    else:
        mode = "asymmetric"
    scales = builder.constant([1, 1, _scale(picture.shape[1], height), _scale(picture.shape[2], width)], np.float32)
    name = builder.add("Resize", picture.name, "", scales, mode="linear", coordinate_transformation_mode=mode)
    return Tensor(name, (1, height, width, picture.shape[3]), Form.FIRST)


def _scale(size: int, wanted: int) -> np.float32:
    """The ratio in single precision, never so small that the resized size is rounded down to one less.

    Sizes would need the batch among them, or the axes attribute, which ONNX Runtime's transpose optimiser breaks.
    """
    scale = np.float32(wanted / size)
    return scale if float(scale) * size >= wanted else np.nextafter(scale, np.float32(np.inf))


def matrix_product(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: rows of one picture each, weights (in, out), and what is fused."""
    rows = builder.last(inputs[0])
    weights = constant(node, inputs[1])
    if node.attributes.get("transpose_a") or len(rows.shape) != 2:
        raise node.unsupported("does not multiply one row per picture")
    if node.attributes.get("transpose_b"):
        weights = weights.T
    fused = list(node.attributes.get("fused_ops", []))
    names = [rows.name, builder.constant(weights)]
    extra = inputs[2:]
    if fused[:1] == ["BiasAdd"]:
        names.append(builder.constant(constant(node, extra.pop(0))))
        fused.pop(0)
    product = Tensor(builder.add("Gemm", *names), (1, weights.shape[1]), Form.LAST)
    return _activated(builder, node, product, fused, extra)


def constant(node: Node, tensor: Tensor) -> NDArray[Any]:
    """The value of an input that has to be constant."""
    if tensor.value is None:
        raise node.unsupported("has a computed input where a constant is needed")
    return tensor.value
