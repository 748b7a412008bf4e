"""A TensorFlow.js layers model (Keras layers in JSON) to an ONNX file: plain convolutional classifiers."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from inference.packs.catalogue import Network
from inference.packs.importers import javascript
from inference.packs.importers.builder import Builder, same_padding
from inference.packs.importers.tensorflow_js.graph import weights_of

Weights = dict[str, NDArray[Any]]
Value = tuple[str, tuple[int, ...]]
"""A name in the graph, and its shape without the batch: channels, height and width, or one number once flat."""


def from_javascript(network: Network, files: tuple[Path, ...]) -> bytes:
    """Files: a module that exports the model, then modules that export the weight files in base64.

    The one output is that of the last layer. Raises ValueError for layers and settings that are not known here.
    """
    model = javascript.exported(files[0].read_text(encoding="utf-8"))
    shards = {
        path.name.removesuffix(".min.js"): base64.b64decode(javascript.exported(path.read_text(encoding="utf-8")))
        for path in files[1:]
    }
    weights = weights_of(model["weightsManifest"], shards)
    structure = model["modelTopology"]["model_config"]["config"]
    builder, found = Builder(), dict[str, Value]()
    for layer in structure["layers"]:
        inputs = [found[node[0]] for node in (layer["inbound_nodes"] or [[]])[0]]
        if layer["class_name"] == "InputLayer":
            found[layer["name"]] = _entry(builder, network, layer["config"])
        elif layer["class_name"] in _LAYERS:
            settings = layer["config"]
            found[layer["name"]] = _LAYERS[layer["class_name"]](builder, inputs, settings, weights)
        else:
            raise ValueError(f"{layer['name']}: layers of the kind {layer['class_name']} are not known")
    (output,), ((last, _, _),) = network.outputs, structure["output_layers"]
    name, shape = found[last]
    builder.output(output.name, name)
    result = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["batch", *shape])
    entry = helper.make_tensor_value_info(network.input.name, TensorProto.FLOAT, network.input.shape)
    return builder.model([entry], [result])


def _entry(builder: Builder, network: Network, settings: dict[str, Any]) -> Value:
    height, width, channels = settings["batch_input_shape"][1:]
    if list(network.input.shape[1:]) != [height, width, channels]:
        raise ValueError(f"the input has the shape {settings['batch_input_shape']}, not {network.input.shape}")
    return builder.add("Transpose", network.input.name, perm=[0, 3, 1, 2]), (channels, height, width)


def _zero_padding(builder: Builder, inputs: list[Value], settings: dict[str, Any], _: Weights) -> Value:
    ((name, (channels, height, width)),) = inputs
    (top, bottom), (left, right) = settings["padding"]
    padded = builder.add("Pad", name, builder.constant([0, 0, top, left, 0, 0, bottom, right]))
    return padded, (channels, height + top + bottom, width + left + right)


def _convolution(builder: Builder, inputs: list[Value], settings: dict[str, Any], weights: Weights) -> Value:
    ((value, (channels, height, width)),) = inputs
    depthwise = f"{settings['name']}/depthwise_kernel"
    if depthwise in weights:
        kernel = weights[depthwise].transpose(2, 3, 0, 1)  # channels, 1, height, width
        if kernel.shape[1] != 1:
            raise ValueError(f"{settings['name']}: several filters for each channel are not known")
    else:
        kernel = weights[f"{settings['name']}/kernel"].transpose(3, 2, 0, 1)
    _require(settings, activation="linear", data_format="channels_last", dilation_rate=[1, 1])
    sizes, strides = kernel.shape[2:], settings["strides"]
    pads = [(0, 0), (0, 0)]
    if settings["padding"] == "same":
        pads = [same_padding(*one) for one in zip((height, width), sizes, strides, strict=True)]
    inputs_of_node = [value, builder.constant(kernel, np.float32)]
    if settings["use_bias"]:
        inputs_of_node.append(builder.constant(weights[f"{settings['name']}/bias"], np.float32))
    result = builder.add(
        "Conv",
        *inputs_of_node,
        kernel_shape=list(sizes),
        strides=strides,
        pads=[pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
        group=channels if depthwise in weights else 1,
    )
    high, wide = (
        (length + sum(pad) - size) // stride + 1
        for length, pad, size, stride in zip((height, width), pads, sizes, strides, strict=True)
    )
    return result, (len(kernel), high, wide)


def _normalisation(builder: Builder, inputs: list[Value], settings: dict[str, Any], weights: Weights) -> Value:
    ((value, shape),) = inputs
    parts = [
        builder.constant(weights[f"{settings['name']}/{part}"], np.float32)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    ]
    return builder.add("BatchNormalization", value, *parts, epsilon=settings["epsilon"]), shape


def _relu(builder: Builder, inputs: list[Value], settings: dict[str, Any], _: Weights) -> Value:
    ((value, shape),) = inputs
    _require(settings, max_value=6, negative_slope=0, threshold=0)
    zero, six = builder.constant(0.0, np.float32), builder.constant(6.0, np.float32)
    return builder.add("Clip", value, zero, six), shape


def _sum(builder: Builder, inputs: list[Value], _: dict[str, Any], __: Weights) -> Value:
    (one, shape), (other, _same) = inputs
    return builder.add("Add", one, other), shape


def _average(builder: Builder, inputs: list[Value], settings: dict[str, Any], _: Weights) -> Value:
    ((value, (channels, height, width)),) = inputs
    if tuple(settings["pool_size"]) != (height, width):
        raise ValueError(f"{settings['name']}: only averages over the whole picture are known")
    return builder.add("GlobalAveragePool", value), (channels, 1, 1)


def _flatten(builder: Builder, inputs: list[Value], settings: dict[str, Any], _: Weights) -> Value:
    ((value, (channels, height, width)),) = inputs
    if (height, width) != (1, 1):
        raise ValueError(f"{settings['name']}: the order of {height} x {width} cells is not kept")
    return builder.add("Flatten", value), (channels,)


def _same(_: Builder, inputs: list[Value], __: dict[str, Any], ___: Weights) -> Value:
    """Dropout, which does nothing to a trained network."""
    return inputs[0]


def _dense(builder: Builder, inputs: list[Value], settings: dict[str, Any], weights: Weights) -> Value:
    ((value, _),) = inputs
    kernel, bias = weights[f"{settings['name']}/kernel"], weights[f"{settings['name']}/bias"]
    result = builder.add("Gemm", value, builder.constant(kernel, np.float32), builder.constant(bias, np.float32))
    activations = {"relu": "Relu", "softmax": "Softmax"}
    if settings["activation"] not in activations:
        raise ValueError(f"{settings['name']}: the activation {settings['activation']} is not known")
    return builder.add(activations[settings["activation"]], result), (kernel.shape[1],)


def _require(settings: dict[str, Any], **known: Any) -> None:
    for name, value in known.items():
        if settings[name] != value:
            raise ValueError(f"{settings['name']}: {name} {settings[name]!r} is not known")


_LAYERS: dict[str, Callable[[Builder, list[Value], dict[str, Any], Weights], Value]] = {
    "ZeroPadding2D": _zero_padding,
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "BatchNormalization": _normalisation,
    "ReLU": _relu,
    "Add": _sum,
    "AveragePooling2D": _average,
    "Flatten": _flatten,
    "Dropout": _same,
    "Dense": _dense,
}
