"""ONNX operators in torch against ONNX Runtime, with the attributes that are easily got wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from inference.errors import EngineUnavailable
from inference.torch_engine.program import Program

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
PICTURE = (2, 4, 7, 9)


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def save(
    path: Path,
    nodes: Sequence[tuple[str, Sequence[str], Sequence[str], dict[str, Any]]],
    inputs: Sequence[tuple[int, ...]],
    constants: dict[str, np.ndarray],
    opset: int = 18,
) -> Path:
    """A graph from x (and y) to z."""
    graph = helper.make_graph(
        [helper.make_node(kind, given, made, **attributes) for kind, given, made, attributes in nodes],
        "small",
        [
            helper.make_tensor_value_info(name, FLOAT, ["batch", *shape[1:]])
            for name, shape in zip("xy", inputs, strict=False)
        ],
        [helper.make_tensor_value_info("z", FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def both(path: Path, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What torch and ONNX Runtime make of a graph."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (right,) = session.run(None, dict(zip("xy", inputs, strict=False)))
    with torch.inference_mode():
        (found,) = Program(path, torch.device("cpu"), torch.float32).run([torch.from_numpy(one) for one in inputs])
    return found.numpy(), right


KERNEL = {"w": drawn(6, 4, 3, 3), "b": drawn(6)}
ONE_NODE: dict[str, tuple[str, Sequence[str], dict[str, Any], dict[str, np.ndarray]]] = {
    "conv": ("Conv", "xwb", {"pads": [1, 1, 1, 1], "strides": [2, 1], "dilations": [1, 2]}, KERNEL),
    "conv, uneven padding": ("Conv", "xw", {"pads": [0, 1, 2, 1]}, {"w": KERNEL["w"]}),
    "conv, same upper": ("Conv", "xw", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"w": KERNEL["w"]}),
    "conv, same lower": ("Conv", "xw", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, {"w": KERNEL["w"]}),
    "conv, groups": ("Conv", "xw", {"group": 2}, {"w": drawn(6, 2, 3, 3)}),
    "conv, a factor for each channel": ("Conv", "xwb", {"group": 4}, {"w": drawn(4, 1, 1, 1), "b": drawn(4)}),
    "conv, the same with strides": ("Conv", "xw", {"group": 4, "strides": [2, 2]}, {"w": drawn(4, 1, 1, 1)}),
    "transposed conv": ("ConvTranspose", "xw", {"strides": [2, 2], "pads": [1, 1, 1, 1]}, {"w": drawn(4, 3, 3, 3)}),
    "max pool": ("MaxPool", "x", {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}, {}),
    "max pool, uneven padding": ("MaxPool", "x", {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}, {}),
    "average pool": ("AveragePool", "x", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, {}),
    "average pool with its padding": (
        "AveragePool",
        "x",
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        {},
    ),
    "normalisation": (
        "BatchNormalization",
        "xsbmv",
        {"epsilon": 0.1},
        {"s": drawn(4), "b": drawn(4, seed=1), "m": drawn(4, seed=2), "v": np.abs(drawn(4, seed=3))},
    ),
    "pad": ("Pad", "xp", {}, {"p": ints(0, 1, 2, 0, 0, 0, 1, 3)}),
    "pad with a value": ("Pad", "xpv", {}, {"p": ints(0, 0, 1, 1, 0, 0, 0, 0), "v": np.array(2.5, np.float32)}),
    "resize, nearest": (
        "Resize",
        ["x", "", "s"],
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"s": np.array([1, 1, 2, 3], np.float32)},
    ),
    "resize, linear": ("Resize", ["x", "", "", "s"], {"mode": "linear"}, {"s": ints(2, 4, 10, 13)}),
    "resize, linear from the corner": (
        "Resize",
        ["x", "", "", "s"],
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
        {"s": ints(2, 4, 14, 27)},
    ),
    "clip above": ("Clip", ["x", "", "h"], {}, {"h": np.array(0.3, np.float32)}),
    "hard sigmoid": ("HardSigmoid", "x", {"alpha": 0.3}, {}),
    "leaky": ("LeakyRelu", "x", {"alpha": 0.2}, {}),
    "prelu": ("PRelu", "xs", {}, {"s": drawn(4, 1, 1)}),
    "softmax": ("Softmax", "x", {"axis": 1}, {}),
    "remainder": ("Mod", "xm", {"fmod": 1}, {"m": np.array(0.7, np.float32)}),
    "power": ("Pow", "xe", {}, {"e": np.array(3, np.float32)}),
    "mean of all": ("ReduceMean", "x", {"keepdims": 0}, {}),
    "gather": ("Gather", "xi", {"axis": 2}, {"i": ints(0, -1, 3)}),
    "slice": ("Slice", "xbeas", {}, {"b": ints(1, -8), "e": ints(99, -1), "a": ints(2, 3), "s": ints(2, 3)}),
    "squeeze nothing, add two": ("Unsqueeze", "xa", {}, {"a": ints(-1, 1)}),
    "reshape": ("Reshape", "xs", {}, {"s": ints(0, -1, 3)}),
    "flatten": ("Flatten", "x", {"axis": 2}, {}),
}


@pytest.mark.parametrize("name", ONE_NODE)
def test_an_operator_does_what_it_does_in_onnx_runtime(tmp_path: Path, name: str) -> None:
    kind, given, attributes, constants = ONE_NODE[name]
    path = save(tmp_path / "one.onnx", [(kind, list(given), ["z"], attributes)], [PICTURE], constants)
    found, right = both(path, [drawn(*PICTURE)])
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("opset", [11, 13])
def test_softmax_changed_its_meaning(tmp_path: Path, opset: int) -> None:
    path = save(tmp_path / "one.onnx", [("Softmax", ["x"], ["z"], {"axis": 1})], [PICTURE], {}, opset)
    found, right = both(path, [drawn(*PICTURE)])
    np.testing.assert_allclose(found, right, atol=1e-6)
    assert right.sum() == pytest.approx(2 if opset == 11 else 2 * 7 * 9, rel=1e-4)


def test_integers_divide_towards_zero_and_index_the_pixels_of_each_picture(tmp_path: Path) -> None:
    """The best place in each picture, from its number back to row and column, and the value there."""
    nodes = [
        ("Flatten", ["x"], ["flat"], {}),
        ("TopK", ["flat", "two"], ["best", "places"], {}),
        ("Div", ["places", "width"], ["rows"], {}),
        ("Mod", ["places", "width"], ["columns"], {}),
        ("Unsqueeze", ["rows", "last"], ["row"], {}),
        ("Unsqueeze", ["columns", "last"], ["column"], {}),
        ("Concat", ["row", "column"], ["pixels"], {"axis": 2}),
        ("GatherND", ["x", "pixels"], ["z"], {"batch_dims": 1}),
    ]
    constants = {"two": ints(2), "width": ints(9), "last": ints(2)}
    pictures = drawn(3, 7, 9)
    found, right = both(save(tmp_path / "best.onnx", nodes, [pictures.shape], constants), [pictures])
    np.testing.assert_array_equal(found, right)
    np.testing.assert_array_equal(found, np.sort(pictures.reshape(3, -1))[:, :-3:-1])


def test_sizes_are_reckoned_on_the_host(tmp_path: Path) -> None:
    """A ramp as long as the input is wide, added to it: on the device `meta` nothing can be read back."""
    nodes = [
        ("Shape", ["x"], ["sizes"], {}),
        ("Gather", ["sizes", "three"], ["width"], {}),
        ("Range", ["zero", "width", "one"], ["ramp"], {}),
        ("Cast", ["ramp"], ["floats"], {"to": FLOAT}),
        ("Add", ["x", "floats"], ["z"], {}),
    ]
    constants = {name: np.array(value) for name, value in (("zero", 0), ("one", 1), ("three", 3))}
    path = save(tmp_path / "ramp.onnx", nodes, [PICTURE], constants)
    found, right = both(path, [drawn(*PICTURE)])
    np.testing.assert_array_equal(found, right)
    with torch.inference_mode():
        moved: dict[tuple[int, int], torch.Tensor] = {}
        (there,) = Program(path, torch.device("meta"), torch.float16).run([torch.empty(PICTURE, device="meta")], moved)
    assert there.shape == PICTURE and [one.shape for one in moved.values()] == [(9,)]


def test_small_variances_are_not_lost_in_half_precision(tmp_path: Path) -> None:
    """The square of 1e-4 is nothing in half precision, that of 1000 is infinite."""
    nodes = [("Pow", ["x", "two"], ["squares"], {}), ("Sqrt", ["squares"], ["z"], {})]
    path = save(tmp_path / "root.onnx", nodes, [(1, 3)], {"two": np.array(2, np.float32)})
    given = torch.tensor([[1e-4, 1.0, 1000.0]])
    (found,) = Program(path, torch.device("cpu"), torch.float16).run([given])
    np.testing.assert_allclose(found, given, rtol=1e-3)


@pytest.mark.parametrize(
    ("node", "opset", "message"),
    [
        (("Hardmax", ["x"], ["z"], {}), 18, "no operator Hardmax"),
        (("MaxPool", ["x"], ["z"], {"kernel_shape": [2, 2], "storage_order": 1}), 18, "MaxPool with storage_order"),
        (("Relu", ["x"], ["z"], {}), 10, "version 10; 11 is the oldest"),
    ],
)
def test_what_is_not_known_is_named_when_the_file_is_loaded(
    tmp_path: Path, node: Any, opset: int, message: str
) -> None:
    path = save(tmp_path / "other.onnx", [node], [PICTURE], {}, opset)
    with pytest.raises(EngineUnavailable, match=rf"other\.onnx on PyTorch: .*{message}"):
        Program(path, torch.device("cpu"), torch.float32)
