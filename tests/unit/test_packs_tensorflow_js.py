"""Every operator on tiny graphs, against plain numpy written from TensorFlow's documentation."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_js_graph import Array, Graph, pictures


def edges(size: int, kernel: int, stride: int, dilation: int, padding: str) -> tuple[int, int, int]:
    """Output size, padding before and after."""
    reach = (kernel - 1) * dilation + 1
    if padding == "VALID":
        return (size - reach) // stride + 1, 0, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + reach - size, 0)
    return out, total // 2, total - total // 2


def windows(x: Array, kernel: tuple[int, int], stride: Any, dilation: Any, padding: str, fill: float) -> Array:
    """(batch, out height, out width, kernel height, kernel width, channels), by loops."""
    heights = edges(x.shape[1], kernel[0], stride[0], dilation[0], padding)
    widths = edges(x.shape[2], kernel[1], stride[1], dilation[1], padding)
    padded = np.pad(x, ((0, 0), heights[1:], widths[1:], (0, 0)), constant_values=fill)
    result = np.empty((len(x), heights[0], widths[0], *kernel, x.shape[3]), x.dtype)
    for row, column, i, j in itertools.product(*map(range, (heights[0], widths[0], *kernel))):
        result[:, row, column, i, j] = padded[
            :, row * stride[0] + i * dilation[0], column * stride[1] + j * dilation[1]
        ]
    return result


@st.composite
def sliding(draw: st.DrawFn) -> dict[str, Any]:
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilations = (1, 1) if max(strides) > 1 else draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    least = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    return {
        "kernel": kernel,
        "strides": strides,
        "dilations": dilations,
        "padding": draw(st.sampled_from(["SAME", "VALID"])),
        "shape": (draw(st.integers(least[0], 9)), draw(st.integers(least[1], 9)), draw(st.integers(1, 3))),
    }


def window_attributes(case: dict[str, Any]) -> dict[str, Any]:
    return {"strides": [1, *case["strides"], 1], "dilations": [1, *case["dilations"], 1], "padding": case["padding"]}


@settings(deadline=None, max_examples=60)
@given(sliding(), st.integers(1, 4), st.sampled_from(["Relu", "Relu6", "Prelu", None]), st.booleans())
def test_convolution(case: dict[str, Any], out: int, activation: str | None, fused: bool) -> None:
    model = Graph(case["shape"])
    filters = pictures((*case["kernel"], case["shape"][2]), out, 1).transpose(1, 2, 3, 0)
    bias, slope = pictures((), out, 2), pictures((), out, 3)
    expected = np.einsum("nabhwc,hwco->nabo", spread(case, pictures(case["shape"])), filters)
    name = model.const(filters)
    if not fused:
        result = model.node("Conv2D", "in", name, **window_attributes(case))
    else:
        expected = expected + bias
        extra = [model.const(slope)] if activation == "Prelu" else []
        fusing = ["BiasAdd"] + ([activation] if activation else [])
        result = model.node(
            "_FusedConv2D", "in", name, model.const(bias), *extra, fused_ops=fusing, **window_attributes(case)
        )
        expected = {
            None: expected,
            "Relu": np.maximum(expected, 0),
            "Relu6": np.clip(expected, 0, 6),
            "Prelu": np.where(expected < 0, expected * slope, expected),
        }[activation]
    (found,) = model.run(pictures(case["shape"]), result)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def spread(case: dict[str, Any], x: Array, fill: float = 0) -> Array:
    return windows(x, case["kernel"], case["strides"], case["dilations"], case["padding"], fill)


@settings(deadline=None, max_examples=60)
@given(sliding(), st.integers(1, 2))
def test_depthwise_convolution(case: dict[str, Any], multiplier: int) -> None:
    model = Graph(case["shape"])
    channels = case["shape"][2]
    filters = pictures((*case["kernel"], channels), multiplier, 1).transpose(1, 2, 3, 0)
    x = pictures(case["shape"])
    expected = np.einsum("nabhwc,hwcm->nabcm", spread(case, x), filters)
    result = model.node("DepthwiseConv2dNative", "in", model.const(filters), **window_attributes(case))
    (found,) = model.run(x, result)
    np.testing.assert_allclose(found, expected.reshape(*found.shape), rtol=1e-4, atol=1e-4)
    assert found.shape == (*expected.shape[:3], channels * multiplier)


@settings(deadline=None, max_examples=60)
@given(sliding(), st.sampled_from(["MaxPool", "AvgPool"]))
def test_pooling(case: dict[str, Any], operator: str) -> None:
    case["dilations"] = (1, 1)
    model = Graph(case["shape"])
    x = pictures(case["shape"])
    fill, reduce = (-np.inf, np.max) if operator == "MaxPool" else (np.nan, np.nanmean)
    expected = reduce(spread(case, x, fill), axis=(3, 4))
    result = model.node(
        operator, "in", ksize=[1, *case["kernel"], 1], strides=[1, *case["strides"], 1], padding=case["padding"]
    )
    (found,) = model.run(x, result)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def resized(x: Array, height: int, width: int, corners: bool, centres: bool) -> Array:
    for axis, size in ((1, height), (2, width)):
        old = x.shape[axis]
        places = np.arange(size)
        if corners and size > 1:
            source = places * (old - 1) / (size - 1)
        elif centres:
            source = np.clip((places + 0.5) * old / size - 0.5, 0, None)
        else:
            source = places * old / size
        low = np.minimum(np.floor(source).astype(int), old - 1)
        high = np.minimum(low + 1, old - 1)
        share = (source - low).reshape([-1 if i == axis else 1 for i in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 2)),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([(False, False), (True, False), (False, True)]),
)
def test_resize_bilinear(shape: tuple[int, int, int], height: int, width: int, flags: tuple[bool, bool]) -> None:
    corners, centres = flags
    model = Graph(shape)
    size = model.const([height, width], np.int32)
    result = model.node("ResizeBilinear", "in", size, align_corners=corners, half_pixel_centers=centres)
    (found,) = model.run(pictures(shape), result)
    np.testing.assert_allclose(found, resized(pictures(shape), height, width, corners, centres), rtol=1e-3, atol=1e-3)


BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "AddV2": np.add,
    "AddN": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "SquaredDifference": lambda a, b: (a - b) ** 2,
    "Prelu": lambda a, b: np.where(a < 0, a * b, a),
}


@pytest.mark.parametrize("after_convolution", [True, False])
@pytest.mark.parametrize("other", [(), (3,), (1, 3), (4, 1, 1), (4, 5, 3), (1, 4, 5, 3)], ids=str)
@pytest.mark.parametrize("operator", BINARY)
def test_constants_broadcast(operator: str, other: tuple[int, ...], after_convolution: bool) -> None:
    """Channels-last broadcasting holds whether or not the tensor is kept with its channels first."""
    model, x = Graph((4, 5, 3)), pictures((4, 5, 3))
    value = pictures(other, 1, 5)[0]
    entry = "in"
    if after_convolution:
        entry = model.node("MaxPool", "in", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID")
    (found,) = model.run(x, model.node(operator, entry, model.const(value)))
    np.testing.assert_allclose(found, BINARY[operator](x, value), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 1, 3), (1, 5, 1)], ids=str)
def test_tensors_of_two_layouts_broadcast(shape: tuple[int, ...], order: int) -> None:
    model, x = Graph((4, 5, 3)), pictures((4, 5, 3))
    pooled = model.node("MaxPool", "in", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID")
    size = [-1 if full == kept else full for full, kept in zip((4, 5, 3), shape, strict=True)]
    axes = [axis + 1 for axis, left in enumerate(size) if left != -1]
    mean = model.node("Mean", "in", model.const(axes, np.int32), keep_dims=True)
    (found,) = model.run(x, model.node("Mul", *[pooled, mean][::order]))
    np.testing.assert_allclose(found, x * x.mean(tuple(axes), keepdims=True), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["DT_INT32", "DT_FLOAT"])
@given(a=st.integers(-50, 50), b=st.integers(-9, 9).filter(bool))
@settings(deadline=None, max_examples=20)
def test_floor_division(kind: str, a: int, b: int) -> None:
    model = Graph((1,))
    number = model.node("Cast", "in", DstT=kind)
    divisor = model.const(b, np.int32 if kind == "DT_INT32" else np.float32)
    results = [model.node(name, number, divisor, T=kind) for name in ("FloorDiv", "FloorMod")]
    results = [model.node("Cast", name, DstT="DT_FLOAT") for name in results]
    found = [float(value[0, 0]) for value in model.run(np.array([[a]], np.float32), *results)]
    assert found == [a // b, a % b]


@pytest.mark.parametrize(
    ("operator", "function"),
    [
        ("Relu", lambda x: np.maximum(x, 0)),
        ("Relu6", lambda x: np.clip(x, 0, 6)),
        ("Sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("Softmax", lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        ("Identity", lambda x: x),
    ],
)
def test_functions_of_one_tensor(operator: str, function: Callable[[Array], Array]) -> None:
    model, x = Graph((3, 4)), pictures((3, 4)) * 5
    (found,) = model.run(x, model.node(operator, "in"))
    np.testing.assert_allclose(found, function(x), rtol=1e-4, atol=1e-6)


def test_square_root() -> None:
    model, x = Graph((3,)), np.abs(pictures((3,)))
    (found,) = model.run(x, model.node("Sqrt", "in"))
    np.testing.assert_allclose(found, np.sqrt(x), rtol=1e-5)


@pytest.mark.parametrize("after_convolution", [True, False])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axes", [[1, 2], [3], [1], [-1, -2], [1, 2, 3]], ids=str)
def test_mean(axes: list[int], keep: bool, after_convolution: bool) -> None:
    model, x = Graph((4, 5, 3)), pictures((4, 5, 3))
    entry = "in"
    if after_convolution:
        entry = model.node("MaxPool", "in", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID")
    (found,) = model.run(x, model.node("Mean", entry, model.const(axes, np.int32), keep_dims=keep))
    np.testing.assert_allclose(found, x.mean(tuple(axes), keepdims=keep), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("transposed", [True, False])
def test_matrix_product(transposed: bool) -> None:
    model, x = Graph((4,)), pictures((4,), 3)
    weights, bias = pictures((4,), 2, 1).T, pictures((), 2, 2)
    name = model.const(weights.T if transposed else weights)
    plain = model.node("MatMul", "in", name, transpose_b=transposed)
    ops = ["BiasAdd", "Relu"]
    fused = model.node("_FusedMatMul", "in", name, model.const(bias), fused_ops=ops, transpose_b=transposed)
    found = model.run(x, plain, fused)
    np.testing.assert_allclose(found[0], x @ weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], np.maximum(x @ weights + bias, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("after_convolution", [True, False])
def test_shapes_change(after_convolution: bool) -> None:
    model, x = Graph((2, 3, 4)), pictures((2, 3, 4))
    entry = "in"
    if after_convolution:
        entry = model.node("MaxPool", "in", ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALID")
    flat = model.node("Reshape", entry, model.const([-1, 24], np.int32))
    again = model.node("Reshape", flat, model.const([-1, 6, 4], np.int32))
    wider = model.node("ExpandDims", again, model.const(2, np.int32))
    back = model.node("Squeeze", wider, squeeze_dims=[2])
    padded = model.node("Pad", entry, model.const([[0, 0], [1, 0], [0, 2], [0, 1]], np.int32))
    filled = model.node("PadV2", entry, model.const([[0, 0], [1, 0], [0, 2], [0, 1]], np.int32), model.const(7))
    joined = model.node("ConcatV2", entry, "in", model.const(-1, np.int32))
    taller = model.node("ConcatV2", entry, "in", model.const(1, np.int32))
    found = model.run(x, flat, again, wider, back, padded, filled, joined, taller)
    places = ((0, 0), (1, 0), (0, 2), (0, 1))
    expected = [
        x.reshape(2, 24),
        x.reshape(2, 6, 4),
        x.reshape(2, 6, 1, 4),
        x.reshape(2, 6, 4),
        np.pad(x, places),
        np.pad(x, places, constant_values=7),
        np.concatenate([x, x], 3),
        np.concatenate([x, x], 1),
    ]
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize(
    ("numbers", "masks", "key"),
    [
        (([0, 0, 1], [0, 0, 2], [1, 1, 1]), {"begin_mask": 3, "end_mask": 3}, np.s_[:, :, 1:2]),
        (([0, 1, 0], [1, 4, 5], [1, 2, 3]), {"begin_mask": 1, "end_mask": 1}, np.s_[:, 1:4:2, 0:5:3]),
        (([0, -2, 0], [1, 0, -1], [1, 1, 1]), {"end_mask": 2}, np.s_[:, -2:, :-1]),
        (([0, 2, 0], [1, 3, 5], [1, 1, 1]), {"shrink_axis_mask": 2}, np.s_[:, 2]),
        (([0, -1, 1], [1, 0, 2], [1, 1, 1]), {"shrink_axis_mask": 6}, np.s_[:, -1, 1]),
    ],
)
def test_strided_slice(numbers: Any, masks: dict[str, int], key: Any) -> None:
    model, x = Graph((4, 5)), pictures((4, 5))
    constants = [model.const(number, np.int32) for number in numbers]
    (found,) = model.run(x, model.node("StridedSlice", "in", *constants, **masks))
    np.testing.assert_array_equal(found.reshape(x[key].shape), x[key])


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 4))
def test_same_padding_covers_every_pixel(size: int, kernel: int, stride: int) -> None:
    out, before, after = edges(size, kernel, stride, 1, "SAME")
    assert out == math.ceil(size / stride)
    assert after - before in (0, 1)
    assert (size + before + after - kernel) // stride + 1 == out or kernel < stride
