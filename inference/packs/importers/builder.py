"""An ONNX graph under construction."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET = 18
_IR_VERSION = 8  # the one that came with this opset


@dataclass
class Builder:
    """Collects nodes and constants."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Appends a node with one output and returns that output's name."""
        return self.add_many(operator, 1, *inputs, **attributes)[0]

    def add_many(self, operator: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        outputs = [f"{operator}_{len(self.nodes)}_{number}" for number in range(count)]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, name=outputs[0], **attributes))
        return outputs

    def constant(self, value: Any, dtype: type[np.generic] | None = None) -> str:
        """The name of a constant; whole numbers are 64-bit throughout, as ONNX's index operators want them."""
        array = np.array(value, dtype, order="C")
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array.astype(np.int64) if array.dtype == np.int32 else array
        return name

    def output(self, name: str, value: str) -> None:
        """Calls a value of the graph `name`."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> bytes:
        """The finished ONNX file, checked."""
        weights = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "network", inputs, outputs, weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: the output has ceil(size / stride) cells and an odd padding pixel goes to the end."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
