"""Weights that are no normal numbers become zeros, and nothing else changes."""

import numpy as np
import onnx
import onnxruntime
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper, numpy_helper

from inference.packs.importers.denormals import SMALLEST_NORMAL, flushed

FLOATS = st.floats(-3, 3, width=32, allow_subnormal=True) | st.floats(
    float(-SMALLEST_NORMAL), float(SMALLEST_NORMAL), width=32, allow_subnormal=True
)


def model(weights: np.ndarray) -> bytes:
    """x float32 [N, 8] -> y float32 [N, 4]."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["product"]), helper.make_node("Add", ["product", "one"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.float32([1]), "one")],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    )


def weights_of(data: bytes) -> np.ndarray:
    return np.asarray(numpy_helper.to_array(onnx.load_from_string(data).graph.initializer[0]))


def answers(data: bytes) -> np.ndarray:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    pictures = np.linspace(-4, 4, 24, dtype=np.float32).reshape(3, 8)
    return np.asarray(session.run(None, {"x": pictures})[0])


@given(arrays.arrays(np.float32, (8, 4), elements=FLOATS))
def test_denormal_weights_become_zeros_with_the_same_answers(weights: np.ndarray) -> None:
    before = model(weights)
    after = flushed(before)
    left = weights_of(after)
    normal = np.abs(weights) >= SMALLEST_NORMAL
    assert np.array_equal(left[normal], weights[normal])
    assert not left[~normal].any()
    assert np.array_equal(answers(after), answers(before))


def test_a_network_without_denormal_weights_stays_as_it_is() -> None:
    weights = np.zeros((8, 4), np.float32)
    weights[0] = [1, -2, SMALLEST_NORMAL, -SMALLEST_NORMAL]
    data = model(weights)
    assert flushed(data) is data
