from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.packs import checks
from inference.packs.catalogue import Check, Input, Licence, Network, Output
from inference.packs.importers import onnx_graph


def network(shape: tuple[int | str, ...]) -> Network:
    return Network(
        name="tiny",
        task="",
        importer="onnx_dequantise",
        source="here",
        files=("tiny.onnx",),
        licence=Licence("MIT", "here", "MIT"),
        input=Input("x", shape, "NCHW", "RGB", (0, 255)),
        outputs=(Output("y", ""),),
        check=Check("original", (1, 2, 4, 4), 1e-4),
    )


def quantised_model(path: Path, weights: NDArray[np.int8], scales: NDArray[Any], zeros: NDArray[Any]) -> None:
    """1x1 convolution with block-quantised weights and ReLU, transposed and flattened for a batch of one."""
    constants = {
        "weights": weights,
        "scales": scales.astype(np.float32),
        "zeros": zeros.astype(np.int8),
        "shape": np.array([*weights.shape, 1, 1], np.int64),
        "flat": np.array([1, -1, weights.shape[0]], np.int64),
    }
    nodes = [
        helper.make_node(
            "DequantizeLinear", ["weights", "scales", "zeros"], ["floats"], axis=1, block_size=weights.shape[1] // 2
        ),
        helper.make_node("Reshape", ["floats", "shape"], ["filters"]),
        helper.make_node("Conv", ["x", "filters"], ["c"]),
        helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["t", "flat"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, weights.shape[1], 4, 4]),
            helper.make_tensor_value_info("weights", TensorProto.INT8, weights.shape),
            helper.make_tensor_value_info("stale", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, weights.shape[0]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)


def test_weights_are_folded_and_sizes_freed(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    weights = random.integers(-128, 128, (3, 4), np.int8)
    scales, zeros = random.random((3, 2)) + 0.1, random.integers(-128, 128, (3, 2))
    quantised_model(tmp_path / "tiny.onnx", weights, scales, zeros)

    data = onnx_graph.dequantised(network(("batch", 4, "height", "width")), (tmp_path / "tiny.onnx",))
    model = onnx.load_from_string(data)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Transpose", "Reshape"]
    assert [value.name for value in model.graph.input] == ["x"]
    assert {tensor.name for tensor in model.graph.initializer} == {"filters", "flat"}
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"

    floats = (weights - np.repeat(zeros, 2, 1)) * np.repeat(scales, 2, 1)
    pictures = random.random((5, 4, 2, 7), np.float32)
    (found,) = checks.session(data).run(None, {"x": pictures})
    expected = np.einsum("oc,nchw->nhwo", floats, pictures).reshape(5, 14, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.booleans(), st.data())
def test_blocks_are_dequantised_one_by_one(
    rows: int, blocks: int, block: int, along_rows: bool, data: st.DataObject
) -> None:
    columns = blocks * block - data.draw(st.integers(0, block - 1), label="missing in the last block")
    random = np.random.default_rng(data.draw(st.integers(0, 9)))
    values = random.integers(-128, 128, (rows, columns)).astype(np.int8)
    scales = random.random((rows, blocks)).astype(np.float32)
    zeros = random.integers(-128, 128, (rows, blocks)).astype(np.int8)
    expected = np.empty((rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            zero, scale = int(zeros[row, column // block]), scales[row, column // block]
            expected[row, column] = np.float32(int(values[row, column]) - zero) * scale
    axis = 1
    if along_rows:
        values, scales, zeros, expected, axis = values.T, scales.T, zeros.T, expected.T, 0
    node = helper.make_node("DequantizeLinear", ["v", "s", "z"], ["o"], axis=axis, block_size=block)
    graph = helper.make_graph(
        [node, helper.make_node("Add", ["x", "o"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.ascontiguousarray(v), n)
            for n, v in zip("vsz", (values, scales, zeros), strict=True)
        ],
    )
    onnx_graph.fold_weights(graph)
    (folded,) = graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(folded), expected)


@pytest.mark.parametrize("per_axis", [True, False])
def test_scales_per_axis_and_per_tensor(per_axis: bool) -> None:
    values = np.arange(6, dtype=np.int8).reshape(2, 3)
    scales = np.array([1.0, 2.0, 3.0] if per_axis else 0.5, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["v", "s"], ["o"], axis=1),
            helper.make_node("Add", ["x", "o"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, "v"), numpy_helper.from_array(scales, "s")],
    )
    onnx_graph.fold_weights(graph)
    np.testing.assert_array_equal(numpy_helper.to_array(graph.initializer[0]), values * scales)


def test_a_copied_model_is_the_same_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    quantised_model(tmp_path / "a.onnx", random.integers(-9, 9, (2, 2), np.int8), np.ones((2, 2)), np.zeros((2, 2)))
    assert onnx_graph.copied(network(("batch", 2, 4, 4)), (tmp_path / "a.onnx",)) == (tmp_path / "a.onnx").read_bytes()
    (tmp_path / "b.onnx").write_bytes(b"no model")
    with pytest.raises(Exception, match=r"(?i)pars|protobuf|decod"):
        onnx_graph.copied(network(("batch", 2, 4, 4)), (tmp_path / "b.onnx",))
