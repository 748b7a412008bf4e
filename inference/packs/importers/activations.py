"""Writes activations with operators that ONNX Runtime keeps in its blocked channel layout on a CPU.

It converts tensors to and fro around every other operator, and runs PRelu itself slowly: of a small network of
convolutions that is most of the time. The graphs compute what they did, but for rounding.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


def rewritten(model: bytes) -> bytes:
    """The ONNX model with each per-channel PRelu, hard sigmoid and hard swish that is spelled out as depthwise
    convolutions, bounds one after the other as one Clip, and each mean over height and width as GlobalAveragePool."""
    loaded = onnx.load_from_string(model)
    graph = _Graph(loaded.graph)
    replaced = graph.hard_sigmoids() | graph.slopes() | graph.bounds() | graph.means()
    if not replaced:
        return model
    nodes = [
        new
        for node in loaded.graph.node
        if node.output[0] not in graph.dropped
        for new in replaced.get(node.output[0], [node])
    ]
    for field in (loaded.graph.node, loaded.graph.value_info):
        del field[:]
    loaded.graph.node.extend(nodes)
    loaded.graph.initializer.extend(graph.constants)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in loaded.graph.initializer if tensor.name in used]
    del loaded.graph.initializer[:]
    loaded.graph.initializer.extend(kept)
    onnx.checker.check_model(loaded)
    return bytes(loaded.SerializeToString())


Replacements = dict[str, list[onnx.NodeProto]]
"""By the name of a node's first output, what stands in its place."""


@dataclass(frozen=True)
class _Sigmoid:
    """min(max(x + 3, 0), 6), which is six times the hard sigmoid of `x`, the output of a convolution."""

    x: str
    nodes: tuple[onnx.NodeProto, onnx.NodeProto]

    @property
    def output(self) -> str:
        return str(self.nodes[1].output[0])


class _Graph:
    """A graph with what is needed to find patterns in it."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes = list(graph.node)
        self.outputs = {value.name for value in graph.output}
        self.constants: list[onnx.TensorProto] = []
        self.dropped: set[str] = set()
        self._values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._makers = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._readers[name].append(node)

    def slopes(self) -> Replacements:
        """PRelu(x) = slope x + (1 - slope) max(x, 0)."""
        replaced: Replacements = {}
        for node in self.nodes:
            slope = self._values.get(node.input[1]) if node.op_type == "PRelu" else None
            if slope is None or slope.ndim < 3 or slope.shape[-2:] != (1, 1):
                continue
            x, y = node.input[0], node.output[0]
            weights = slope.astype(np.float32).reshape(-1, 1, 1, 1)
            replaced[y] = [
                helper.make_node("Relu", [x], [f"{y}/positive"]),
                self._scaled(x, weights, f"{y}/all"),
                self._scaled(f"{y}/positive", 1 - weights, f"{y}/more"),
                helper.make_node("Add", [f"{y}/more", f"{y}/all"], [y]),
            ]
        return replaced

    def hard_sigmoids(self) -> Replacements:
        """k sigmoid6(x) = min(max(k x + 3 k, 0), 6 k), and the same times x; k is about a sixth."""
        replaced: Replacements = {}
        for found in self._sigmoids():
            (reader,) = self._readers[found.output]
            output = reader.output[0]
            factor, _ = self._scaling(reader)
            if factor is not None:
                replaced[output] = self._gate(found.x, factor, output)
                self.dropped |= {node.output[0] for node in found.nodes}
            elif reader.op_type == "Mul":
                (other,) = (name for name in reader.input if name != found.output)
                maker = self._makers.get(other)
                factor, scaled = (None, None) if maker is None else self._scaling(maker)
                if factor is None or scaled != found.x or not self._is_read_once(other):
                    continue
                gated = helper.make_node("Mul", [found.x, f"{output}/gate"], [output])
                replaced[output] = [*self._gate(found.x, factor, f"{output}/gate"), gated]
                self.dropped |= {node.output[0] for node in found.nodes} | {other}
        return replaced

    def bounds(self) -> Replacements:
        """A Relu or Clip, Clips after it: a convolution takes a single one into itself."""
        replaced: Replacements = {}
        for last in self.nodes:
            chain = self._bounding(last)
            if len(chain) < 2 or any(self._bounds(reader) for reader in self._readers[last.output[0]]):
                continue
            x, y, (least, most) = chain[0].input[0], last.output[0], (-np.inf, np.inf)
            for node in chain:
                low, high = self._bounds(node)
                least, most = (min(max(bound, low), high) for bound in (least, most))
            names = [
                self._constant(np.array(bound, np.float32), f"{y}/{name}")
                for name, bound in (("least", least), ("most", most))
            ]
            replaced[y] = [helper.make_node("Clip", [x, *names], [y])]
            self.dropped |= {node.output[0] for node in chain[:-1]}
        return replaced

    def means(self) -> Replacements:
        replaced: Replacements = {}
        for node in self.nodes:
            axes = self._values.get(node.input[1]) if node.op_type == "ReduceMean" and len(node.input) > 1 else None
            keeps = all(attribute.i == 1 for attribute in node.attribute if attribute.name == "keepdims")
            if axes is not None and axes.tolist() == [2, 3] and keeps:
                replaced[node.output[0]] = [helper.make_node("GlobalAveragePool", [node.input[0]], [node.output[0]])]
        return replaced

    def _sigmoids(self) -> Iterator[_Sigmoid]:
        for clip in self.nodes:
            if clip.op_type != "Clip" or len(clip.input) < 3 or not self._is_read_once(clip.output[0]):
                continue
            bounds = [self._number(name) for name in clip.input[1:]]
            add = self._makers.get(clip.input[0])
            if bounds != [0.0, 6.0] or add is None or add.op_type != "Add" or not self._is_read_once(add.output[0]):
                continue
            three, x = self._number_and_other(add)
            if three == 3.0 and x is not None and self._channels(x):
                yield _Sigmoid(x, (add, clip))

    def _bounding(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """A Relu or Clip, behind those that give it what they alone read."""
        if not self._bounds(node):
            return []
        chain = [node]
        while (before := self._makers.get(chain[0].input[0])) and self._is_read_once(before.output[0]):
            if not self._bounds(before):
                break
            chain.insert(0, before)
        return chain

    def _bounds(self, node: onnx.NodeProto) -> tuple[float, ...]:
        """The least and the most that a Relu or Clip lets through; nothing for another node, or where they are open."""
        if node.op_type == "Relu":
            return 0.0, np.inf
        if node.op_type != "Clip":
            return ()
        names = [*node.input[1:], "", ""][:2]
        numbers = [self._number(name) if name else given for name, given in zip(names, (-np.inf, np.inf), strict=True)]
        return () if None in numbers else tuple(number for number in numbers if number is not None)

    def _scaling(self, node: onnx.NodeProto) -> tuple[float | None, str | None]:
        """The factor and what it multiplies, where that is all that a node does."""
        return self._number_and_other(node) if node.op_type == "Mul" else (None, None)

    def _number_and_other(self, node: onnx.NodeProto) -> tuple[float | None, str | None]:
        first, second = node.input
        for number, other in ((first, second), (second, first)):
            value = self._number(number)
            if value is not None:
                return value, other
        return None, None

    def _number(self, name: str) -> float | None:
        value = self._values.get(name)
        return None if value is None or value.size != 1 else float(value.reshape(-1)[0])

    def _is_read_once(self, name: str) -> bool:
        return len(self._readers[name]) == 1 and name not in self.outputs

    def _channels(self, name: str) -> int:
        """Of the output of a convolution; 0 for anything else."""
        maker = self._makers.get(name)
        return len(self._values[maker.input[1]]) if maker is not None and maker.op_type == "Conv" else 0

    def _scaled(self, x: str, weights: NDArray[np.float32], output: str, bias: float | None = None) -> onnx.NodeProto:
        """A factor for each channel, float32 [C, 1, 1, 1], and a number to add to all."""
        inputs = [x, self._constant(weights, f"{output}/weights")]
        if bias is not None:
            inputs.append(self._constant(np.full(len(weights), bias, np.float32), f"{output}/bias"))
        return helper.make_node("Conv", inputs, [output], group=len(weights), kernel_shape=[1, 1])

    def _gate(self, x: str, factor: float, output: str) -> list[onnx.NodeProto]:
        """min(max(factor x + 3 factor, 0), 6 factor): a convolution takes such bounds into itself."""
        weights = np.full((self._channels(x), 1, 1, 1), factor, np.float32)
        bounds = [
            self._constant(np.array(bound, np.float32), f"{output}/{name}")
            for name, bound in (("least", 0.0), ("most", 6 * factor))
        ]
        return [
            self._scaled(x, weights, f"{output}/unbounded", 3 * factor),
            helper.make_node("Clip", [f"{output}/unbounded", *bounds], [output]),
        ]

    def _constant(self, value: NDArray[np.float32], name: str) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name
