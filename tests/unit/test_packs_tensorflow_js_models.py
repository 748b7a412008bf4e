"""Whole TensorFlow.js graph models: their tails, weights and files, and what cannot be converted."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tensorflow_js_graph import Graph, pictures

from inference.packs import checks
from inference.packs.catalogue import Check, Input, Licence, Network, Output
from inference.packs.errors import UnsupportedOperator
from inference.packs.importers.tensorflow_js import convert, graph


def test_a_graph_for_one_picture_takes_a_batch() -> None:
    """Peaks are sought and looked up as in a detector's tail, where the batch of one is dropped on the way."""
    height, width, channels, count = 3, 4, 2, 5
    model = Graph((height, width, channels), declared_batch=1)
    x = pictures((height, width, channels), 3)

    def number(value: Any) -> str:
        return model.const(value, np.int32)

    flat = model.node("Reshape", "in", number([1, -1]))
    top = model.node("TopKV2", flat, number(count))
    cell = model.node("FloorDiv", f"{top}:1", number(channels), T="DT_INT32")
    table = model.node("Reshape", "in", number([height * width, channels]))
    rows = model.node("GatherV2", table, model.node("Reshape", cell, number([-1])), number(0))
    picked = model.node("Reshape", rows, number([1, count, channels]))

    alone = model.node("Unpack", "in", axis=0, num=1)
    first = model.node("Unpack", alone, axis=2, num=2)
    row = model.node("FloorDiv", cell, number(width), T="DT_INT32")
    column = model.node("FloorMod", cell, number(width), T="DT_INT32")
    places = model.node(
        "Pack",
        number([0] * count),
        model.node("Reshape", row, number([-1])),
        model.node("Reshape", column, number([-1])),
        axis=1,
    )
    same = model.node("GatherNd", "in", places)
    best = model.node("Cast", model.node("ArgMax", flat, number(1)), DstT="DT_FLOAT")
    hits = model.node("Cast", model.node("Equal", flat, model.node("Mul", flat, model.const(1))), DstT="DT_FLOAT")
    distance = model.node("SquaredDifference", model.const(np.ones((height, width))), first)
    total = model.node("AddV2", distance, f"{first}:1")

    found = model.run(x, top, picked, same, best, hits, total)
    flats = x.reshape(3, -1)
    order = np.argsort(-flats, 1)[:, :count]
    expected = x.reshape(3, -1, channels)[np.arange(3)[:, None], order // channels]
    np.testing.assert_array_equal(found[0], np.take_along_axis(flats, order, 1))
    np.testing.assert_array_equal(found[1], expected)
    np.testing.assert_array_equal(found[2], expected)
    np.testing.assert_array_equal(found[3].ravel(), flats.argmax(1))
    np.testing.assert_array_equal(found[4], np.ones_like(flats))
    np.testing.assert_allclose(found[5], (1 - x[..., 0]) ** 2 + x[..., 1], rtol=1e-4, atol=1e-5)


def test_a_chain_of_layers_is_transposed_only_at_its_edges() -> None:
    model = Graph((8, 8, 3))
    name, ones = "in", {"strides": [1, 1, 1, 1], "padding": "SAME"}
    for step in range(4):
        convolved = model.node("Conv2D", name, model.const(np.ones((3, 3, 3, 3)) / 27), **ones)
        name = model.node("AddV2", model.node("Relu", convolved), model.const([0.1, 0.2, step]))
    flat = model.node("Reshape", name, model.const([-1, 192], np.int32))
    kinds = [node.op_type for node in onnx.load_from_string(model.converted(flat)).graph.node]
    assert kinds.count("Transpose") == 2


@pytest.mark.parametrize("stored", ["float16", "uint8", "uint16"])
def test_quantised_weights(stored: str) -> None:
    model, x = Graph((3,)), np.zeros((1, 3), np.float32)
    if stored == "float16":
        values = np.array([0.5, -2, 1e-3], np.float16)
        quantization, expected = {"dtype": stored}, values.astype(np.float32)
    else:
        values = np.array([0, 7, 255], stored)
        quantization = {"dtype": stored, "scale": 0.25, "min": -3.5}
        expected = values.astype(np.float32) * 0.25 - 3.5
    entry = {"shape": [3], "dtype": "float32", "quantization": quantization}
    (found,) = model.run(x, model.node("AddV2", "in", model.stored(entry, values.tobytes())))
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("operator", "attributes", "reason"),
    [
        ("FancyOp", {}, "operator FancyOp is unknown"),
        ("MaxPool", {"ksize": [1, 2, 2, 1], "strides": [1, 1, 1, 1], "padding": "EXPLICIT"}, "has EXPLICIT padding"),
        (
            "MaxPool",
            {"ksize": [1, 2, 2, 1], "strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NCHW"},
            "channels last",
        ),
        ("Cast", {"DstT": "DT_STRING"}, "casts to DT_STRING"),
    ],
)
def test_what_cannot_be_converted_is_named(operator: str, attributes: dict[str, Any], reason: str) -> None:
    model = Graph((4, 4, 1))
    name = model.node(operator, "in", **attributes)
    with pytest.raises(UnsupportedOperator, match=reason) as caught:
        model.converted(name)
    assert name in str(caught.value)


def test_an_unknown_activation_is_named() -> None:
    model = Graph((2,))
    weights = model.const(np.ones((2, 2)))
    name = model.node("_FusedMatMul", "in", weights, model.const([0, 0]), fused_ops=["BiasAdd", "Gelu"])
    with pytest.raises(UnsupportedOperator, match="is fused with Gelu"):
        model.converted(name)


def test_nodes_that_no_output_needs_are_left_out() -> None:
    model = Graph((2,))
    model.node("FancyOp", "in")
    assert model.converted(model.node("Relu", "in"))


def test_weights_have_to_fill_their_files() -> None:
    manifest = [{"paths": ["a"], "weights": [{"name": "w", "shape": [2], "dtype": "float32"}]}]
    with pytest.raises(ValueError, match="take 8 bytes, the files hold 9"):
        graph.weights_of(manifest, {"a": bytes(9)})


def network(importer: str, files: tuple[str, ...]) -> Network:
    return Network(
        name="tiny",
        task="",
        importer=importer,
        source="here",
        files=files,
        licence=Licence("MIT", "here", "MIT"),
        input=Input("x", ("batch", 2), "NHWC", "RGB", (0, 1)),
        outputs=(Output("y", "", "node2"),),
        check=Check("runs", (1, 2)),
    )


def test_json_and_javascript_files_give_the_same(tmp_path: Path) -> None:
    tiny = Graph((2,))
    tiny.node("AddV2", "in", tiny.const([1, 2]))
    model, data = tiny.model()
    (tmp_path / "model.json").write_text(json.dumps(model))
    (tmp_path / "weights.bin").write_bytes(data)
    plain = convert.from_json(network("tfjs_graph", ()), (tmp_path / "model.json", tmp_path / "weights.bin"))
    (tmp_path / "model.min.js").write_text(f"!function(e){{e.exports={json.dumps(model)}}}()")
    encoded = base64.b64encode(data).decode()
    (tmp_path / "weights.bin.min.js").write_text(f'!function(e){{e.exports="{encoded}"}}()')
    paths = (tmp_path / "model.min.js", tmp_path / "weights.bin.min.js")
    assert convert.from_javascript(network("tfjs_javascript", ()), paths) == plain
    (found,) = checks.session(plain).run(None, {"x": np.zeros((1, 2), np.float32)})
    assert found.tolist() == [[1, 2]]


def test_another_input_size_is_refused() -> None:
    model, data = Graph((3,)).model()
    wrong = Input("x", ("batch", 4), "NHWC", "RGB", (0, 1))
    with pytest.raises(ValueError, match="the catalogue says"):
        convert.converted(model, {"weights.bin": data}, wrong, (Output("y", "", "in"),))


def test_a_layers_model_is_refused() -> None:
    wrong = Input("x", ("batch", 4), "NHWC", "RGB", (0, 1))
    with pytest.raises(ValueError, match="not a graph model"):
        convert.converted({"format": "layers-model"}, {}, wrong, ())
