"""Which function converts which TensorFlow operator."""

from collections.abc import Callable

from inference.packs.importers.tensorflow_js import arrays, elementwise, layers
from inference.packs.importers.tensorflow_js.graph import Node
from inference.packs.importers.tensorflow_js.layout import GraphBuilder, Tensor

OPERATORS: dict[str, Callable[[GraphBuilder, Node, list[Tensor]], Tensor | tuple[Tensor, ...]]] = {
    "Add": elementwise.broadcast("Add"),
    "AddN": elementwise.broadcast("Sum"),
    "AddV2": elementwise.broadcast("Add"),
    "ArgMax": arrays.arg_max,
    "AvgPool": layers.average_pool,
    "Cast": elementwise.cast,
    "ConcatV2": arrays.concat,
    "Conv2D": layers.convolution,
    "DepthwiseConv2dNative": layers.depthwise_convolution,
    "Equal": elementwise.broadcast("Equal"),
    "ExpandDims": arrays.expand_dims,
    "FloorDiv": elementwise.floor_div,
    "FloorMod": elementwise.floor_mod,
    "FusedDepthwiseConv2dNative": layers.depthwise_convolution,
    "GatherNd": arrays.gather_nd,
    "GatherV2": arrays.gather,
    "Identity": elementwise.identity,
    "MatMul": layers.matrix_product,
    "MaxPool": layers.max_pool,
    "Maximum": elementwise.maximum,
    "Mean": arrays.mean,
    "Minimum": elementwise.minimum,
    "Mul": elementwise.broadcast("Mul"),
    "Pack": arrays.pack,
    "Pad": arrays.pad,
    "PadV2": arrays.pad,
    "Prelu": elementwise.prelu,
    "RealDiv": elementwise.broadcast("Div"),
    "Relu": elementwise.unary("Relu"),
    "Relu6": elementwise.relu6,
    "Reshape": arrays.reshape,
    "ResizeBilinear": layers.resize_bilinear,
    "Sigmoid": elementwise.unary("Sigmoid"),
    "Softmax": arrays.softmax,
    "Sqrt": elementwise.unary("Sqrt"),
    "SquaredDifference": elementwise.squared_difference,
    "Squeeze": arrays.squeeze,
    "StridedSlice": arrays.strided_slice,
    "Sub": elementwise.broadcast("Sub"),
    "TopKV2": arrays.top_k,
    "Unpack": arrays.unpack,
    "_FusedConv2D": layers.convolution,
    "_FusedMatMul": layers.matrix_product,
}
