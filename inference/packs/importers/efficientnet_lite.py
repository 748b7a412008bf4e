"""EfficientNet-Lite2 from its PyTorch state dict.

The architecture is that of TensorFlow's EfficientNet-Lite (width 1.1, depth 1.2, no squeeze and excitation, ReLU6,
stem and head not scaled): inverted residual blocks with TensorFlow's SAME padding. Widths are those of the weights.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from inference.packs.catalogue import Network
from inference.packs.importers import torch_state
from inference.packs.importers.builder import Builder, same_padding

# (blocks, kernel, stride of the first block) per stage
STAGES = ((1, 3, 1), (3, 3, 2), (3, 5, 2), (4, 3, 2), (4, 5, 1), (5, 5, 2), (1, 3, 1))
_EPSILON = 1e-3

State = dict[str, NDArray[Any]]


def from_state_dict(network: Network, files: tuple[Path, ...]) -> bytes:
    """Outputs: `logits` (batch, 1000) and `features` (batch, 1280), the pooled numbers that the logits come from.

    Raises KeyError or ValueError when the state dict is not that of this architecture.
    """
    state = {name: value for name, value in torch_state.read(files[0]).items() if "num_batches" not in name}
    size = network.input.shape[2]
    if not isinstance(size, int):
        raise ValueError("the padding depends on the size of the picture, which has to be a number")
    builder = Builder()
    features = _features(builder, state, network.input.name, size)
    builder.output("features", features)
    weights, bias = state.pop("_fc.weight"), state.pop("_fc.bias")
    builder.output("logits", builder.add("Gemm", features, builder.constant(weights.T), builder.constant(bias)))
    if state:
        raise ValueError(f"unknown weights {sorted(state)[:5]}")
    sizes = {"logits": weights.shape[0], "features": weights.shape[1]}
    outputs = [
        helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["batch", sizes[output.name]])
        for output in network.outputs
    ]
    entry = helper.make_tensor_value_info(network.input.name, TensorProto.FLOAT, network.input.shape)
    return builder.model([entry], outputs)


def _features(builder: Builder, state: State, picture: str, size: int) -> str:
    value, size, _ = _convolved(builder, state, picture, size, "_conv_stem", "_bn0", 2)
    value = _relu6(builder, value)
    strides = [(kernel, stride if block == 0 else 1) for blocks, kernel, stride in STAGES for block in range(blocks)]
    for number, (kernel, stride) in enumerate(strides):
        value, size = _block(builder, state, value, size, f"_blocks.{number}.", kernel, stride)
    value, _, _ = _convolved(builder, state, value, size, "_conv_head", "_bn1", 1)
    return builder.add("Flatten", builder.add("GlobalAveragePool", _relu6(builder, value)))


def _block(
    builder: Builder, state: State, start: str, size: int, name: str, kernel: int, stride: int
) -> tuple[str, int]:
    """Widen, filter each channel, narrow; what went in is added where shapes allow."""
    value, channels = start, state[f"{name}_depthwise_conv.weight"].shape[0]
    if f"{name}_expand_conv.weight" in state:
        channels = state[f"{name}_expand_conv.weight"].shape[1]
        value = _relu6(builder, _convolved(builder, state, value, size, f"{name}_expand_conv", f"{name}_bn0", 1)[0])
    if state[f"{name}_depthwise_conv.weight"].shape[2:] != (kernel, kernel):
        raise ValueError(f"{name}_depthwise_conv has no kernel of {kernel}")
    value, size, _ = _convolved(builder, state, value, size, f"{name}_depthwise_conv", f"{name}_bn1", stride)
    value = _relu6(builder, value)
    value, size, width = _convolved(builder, state, value, size, f"{name}_project_conv", f"{name}_bn2", 1)
    if stride == 1 and width == channels:
        value = builder.add("Add", value, start)
    return value, size


def _convolved(
    builder: Builder, state: State, value: str, size: int, convolution: str, norm: str, stride: int
) -> tuple[str, int, int]:
    """Convolution with its batch normalisation folded in; the result, its height or width, its channels."""
    weights = state.pop(f"{convolution}.weight")
    gain = state.pop(f"{norm}.weight") / np.sqrt(state.pop(f"{norm}.running_var") + _EPSILON)
    bias = state.pop(f"{norm}.bias") - state.pop(f"{norm}.running_mean") * gain
    kernel = weights.shape[2]
    before, after = same_padding(size, kernel, stride)
    result = builder.add(
        "Conv",
        value,
        builder.constant(weights * gain[:, None, None, None], np.float32),
        builder.constant(bias, np.float32),
        kernel_shape=[kernel, kernel],
        strides=[stride, stride],
        pads=[before, before, after, after],
        group=len(weights) if "_depthwise_conv" in convolution else 1,
    )
    return result, -(-size // stride), len(weights)


def _relu6(builder: Builder, value: str) -> str:
    return builder.add("Clip", value, builder.constant(0.0, np.float32), builder.constant(6.0, np.float32))
