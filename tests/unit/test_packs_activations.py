"""Activations written for the runtime's blocked layout compute what they did."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from inference.packs.importers.activations import rewritten

CHANNELS = 5
RANDOM = np.random.default_rng(7)


def model(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> bytes:
    """x float32 [N, 3, H, W] -> conv [N, 5, H, W] -> `nodes` -> y."""
    constants = {"kernel": RANDOM.normal(size=(CHANNELS, 3, 3, 3)).astype(np.float32), **constants}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "kernel"], ["conv"], pads=[1, 1, 1, 1]), *nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", CHANNELS, "rows", "columns"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    )


PICTURES = (8 * RANDOM.normal(size=(2, 3, 9, 7))).astype(np.float32)


def answers(data: bytes) -> Any:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": PICTURES})[0]


def operators(data: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(data).graph.node)


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


NUMBERS = {"three": number(3), "zero": number(0), "six": number(6), "k": number(0.1666259765625)}
ADD, CLIP = (
    helper.make_node("Add", ["conv", "three"], ["added"]),
    helper.make_node("Clip", ["added", "zero", "six"], ["clipped"]),
)
SCALE = helper.make_node("Mul", ["k", "conv"], ["scaled"])


@pytest.mark.parametrize("shape", [(CHANNELS, 1, 1), (1, CHANNELS, 1, 1)])
def test_a_slope_for_each_channel_becomes_convolutions(shape: tuple[int, ...]) -> None:
    slope = RANDOM.uniform(-0.5, 1.5, size=shape).astype(np.float32)
    before = model([helper.make_node("PRelu", ["conv", "slope"], ["y"])], {"slope": slope})
    after = rewritten(before)
    assert operators(after) == {"Conv": 3, "Relu": 1, "Add": 1}
    np.testing.assert_allclose(answers(after), answers(before), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([ADD, CLIP, helper.make_node("Mul", ["clipped", "k"], ["y"])], {"Conv": 2, "Clip": 1}),
        ([SCALE, ADD, CLIP, helper.make_node("Mul", ["scaled", "clipped"], ["y"])], {"Conv": 2, "Clip": 1, "Mul": 1}),
    ],
    ids=["hard sigmoid", "hard swish"],
)
def test_hard_activations_become_convolutions(nodes: list[onnx.NodeProto], left: dict[str, int]) -> None:
    before = model(nodes, NUMBERS)
    after = rewritten(before)
    assert operators(after) == left
    assert {tensor.name for tensor in onnx.load_from_string(after).graph.initializer}.isdisjoint({"three", "six"})
    np.testing.assert_allclose(answers(after), answers(before), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("PRelu", ["conv", "one_slope"], ["y"])],
        [ADD, CLIP, helper.make_node("Mul", ["clipped", "added"], ["y"])],
        [ADD, CLIP, helper.make_node("Add", ["clipped", "conv"], ["y"])],
        [helper.make_node("Relu", ["conv"], ["y"])],
    ],
    ids=["one slope for all", "a sum that is read twice", "no product", "nothing of the kind"],
)
def test_all_else_is_left_as_it_is(nodes: list[onnx.NodeProto]) -> None:
    before = model(nodes, {**NUMBERS, "one_slope": number(0.25)})
    assert rewritten(before) == before


def test_a_mean_over_the_picture_is_a_pooling() -> None:
    axes = {"axes": np.array([2, 3], np.int64)}
    nodes = [helper.make_node("ReduceMean", ["conv", "axes"], ["y"], keepdims=1)]
    graph_of_18 = onnx.load_from_string(model(nodes, axes))
    graph_of_18.opset_import[0].version = 18
    before = bytes(graph_of_18.SerializeToString())
    after = rewritten(before)
    assert operators(after) == {"Conv": 1, "GlobalAveragePool": 1}
    np.testing.assert_allclose(answers(after), answers(before), rtol=1e-5, atol=1e-5)


BOUNDS = st.none() | st.floats(-20, 20, width=32)


@given(st.lists(st.just("relu") | st.tuples(BOUNDS, BOUNDS), min_size=2, max_size=4))
def test_bounds_one_after_the_other_are_one(bounds: list[str | tuple[float | None, float | None]]) -> None:
    nodes, constants, x = [], {}, "conv"
    for n, bound in enumerate(bounds):
        y = "y" if n == len(bounds) - 1 else f"bounded{n}"
        if isinstance(bound, str):
            nodes.append(helper.make_node("Relu", [x], [y]))
        else:
            given_ones = {f"{name}{n}": one for name, one in zip(("least", "most"), bound, strict=True)}
            constants |= {name: number(one) for name, one in given_ones.items() if one is not None}
            nodes.append(
                helper.make_node("Clip", [x, *("" if one is None else name for name, one in given_ones.items())], [y])
            )
        x = y
    before = model(nodes, constants)
    after = rewritten(before)
    assert np.array_equal(answers(after), answers(before))
    if bounds[-1] != "relu":
        assert operators(after) == {"Conv": 1, "Clip": 1}


def test_a_bounded_value_that_others_read_too_stays() -> None:
    nodes = [
        helper.make_node("Relu", ["conv"], ["positive"]),
        helper.make_node("Clip", ["positive", "", "six"], ["bounded"]),
        helper.make_node("Add", ["positive", "bounded"], ["y"]),
    ]
    before = model(nodes, {"six": number(6)})
    assert rewritten(before) == before
