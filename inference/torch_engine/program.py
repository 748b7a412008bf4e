"""An ONNX file as a list of torch calls."""

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor

from inference.errors import EngineUnavailable
from inference.torch_engine.operators import BEFORE, OPERATORS, Operator, Precision

OLDEST_OPSET = 11
Moved = dict[tuple[int, int], Tensor]
"""What was made on the host and is needed on the device: by step and place among its inputs."""


@dataclass(frozen=True)
class Step:
    """One node. `inputs` are names, empty where one is left out; `over` are names that nothing needs afterwards."""

    operator: Operator
    attributes: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    over: tuple[str, ...]


class Program:
    """A network on one device. `input_names`, `input_shapes` (with text where a size is free), `output_names` and
    `metadata` are the file's.

    Sizes are reckoned on the host, and nothing is ever read back from the device: so a run is a fixed sequence of
    kernels once the shapes of the inputs are known.
    """

    def __init__(self, path: Path, device: torch.device, precision: torch.dtype) -> None:
        """`precision`: what costs time is computed in. Raises EngineUnavailable for an operator that is not known."""
        graph = onnx.load(path)
        self.metadata = {entry.key: entry.value for entry in graph.metadata_props}
        weights = {entry.name for entry in graph.graph.initializer}
        inputs = [entry for entry in graph.graph.input if entry.name not in weights]
        self.input_names = [entry.name for entry in inputs]
        self.input_shapes = [_shape(entry) for entry in inputs]
        self.output_names = [entry.name for entry in graph.graph.output]
        self.device, self._precision = device, precision
        simple = _simplified(path)
        self._weights = {entry.name: _tensor(entry) for entry in simple.graph.initializer}
        try:
            self._steps = _steps(simple)
        except ValueError as error:
            raise EngineUnavailable(f"{path.name} on PyTorch: {error}") from error
        self._numbers = {
            name: self._weights[name].tolist()
            for step in self._steps
            for place, name in enumerate(step.inputs)
            if place in step.operator.host and name in self._weights
        }
        self._placed: dict[tuple[str, torch.dtype], Tensor] = {}

    def run(self, inputs: Sequence[Tensor], moved: Moved | None = None) -> list[Tensor]:
        """The outputs for inputs on the device, in float32.

        `moved` is filled, and used in later runs with inputs of the same shapes: these copy nothing to the device.
        """
        moved = {} if moved is None else moved
        values = {name: _channels_last(value) for name, value in zip(self.input_names, inputs, strict=True)}
        for number, step in enumerate(self._steps):
            result = step.operator.apply(*self._given(number, step, values, moved), **step.attributes)
            values.update(zip(step.outputs, result if isinstance(result, tuple) else (result,), strict=False))
            for name in step.over:
                del values[name]
        return [values[name].float().contiguous() for name in self.output_names]

    def _given(self, number: int, step: Step, values: Mapping[str, Tensor], moved: Moved) -> list[Any]:
        """What an operator is called with."""
        tensors = {place: values[name] for place, name in enumerate(step.inputs) if name in values}
        wanted = self._wanted(step, tensors)
        on_device = any(value.device.type == self.device.type for value in tensors.values())
        given: list[Any] = []
        for place, name in enumerate(step.inputs):
            value = tensors.get(place)
            if not name:
                given.append(None)
            elif place in step.operator.host:
                given.append(self._numbers[name] if value is None else value.tolist())
            elif value is None:
                given.append(self._weight(name, wanted, on_device))
            else:
                if on_device and value.device.type != self.device.type:
                    if (number, place) not in moved:
                        moved[number, place] = value.to(self.device)
                    value = moved[number, place]
                given.append(value.to(wanted) if value.is_floating_point() else value)
        return given

    def _wanted(self, step: Step, tensors: Mapping[int, Tensor]) -> torch.dtype:
        """The precision of a step's floating-point inputs."""
        if step.operator.precision is Precision.NARROW:
            return self._precision
        if step.operator.precision is Precision.FULL:
            return torch.float32
        types = {value.dtype for value in tensors.values() if value.is_floating_point()}
        return self._precision if types == {self._precision} else torch.float32

    def _weight(self, name: str, wanted: torch.dtype, on_device: bool) -> Tensor:
        """A constant of the file, kept on the device in each precision that is asked for."""
        value = self._weights[name]
        if not on_device:
            return value
        wanted = wanted if value.is_floating_point() else value.dtype
        if (name, wanted) not in self._placed:
            self._placed[name, wanted] = _channels_last(value.to(self.device, wanted))
        return self._placed[name, wanted]


def _simplified(path: Path) -> onnx.ModelProto:
    """The file's graph after ONNX Runtime's basic optimisations: constants reckoned, normalisations and shifts drawn
    into the convolutions before them. All operators are still ONNX's own."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = f"{folder}/simplified.onnx"
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def _steps(model: onnx.ModelProto) -> list[Step]:
    """Raises ValueError for what is not known."""
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version < OLDEST_OPSET:
        raise ValueError(f"its operators are of version {version}; {OLDEST_OPSET} is the oldest known")
    last = {name: number for number, node in enumerate(model.graph.node) for name in (*node.input, *node.output)}
    kept = {entry.name for entry in (*model.graph.initializer, *model.graph.output)}
    over: list[list[str]] = [[] for _ in model.graph.node]
    for name in last.keys() - kept - {""}:
        over[last[name]].append(name)
    return [_step(node, version, over[number]) for number, node in enumerate(model.graph.node)]


def _step(node: onnx.NodeProto, version: int, over: Sequence[str]) -> Step:
    operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if operator is None:
        raise ValueError(f"no operator {'.'.join(filter(None, (node.domain, node.op_type)))}")
    changed, earlier = BEFORE.get(node.op_type, (0, operator))
    operator = earlier if version < changed else operator
    usual = onnx.defs.get_schema(node.op_type, version).attributes
    attributes = {
        entry.name: value
        for entry in node.attribute
        if (value := _attribute(entry)) != _attribute(usual[entry.name].default_value)
    }
    parameters = inspect.signature(operator.apply).parameters if inspect.isfunction(operator.apply) else {}
    unknown = attributes.keys() - parameters.keys()
    if unknown and not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        raise ValueError(f"{node.op_type} with {', '.join(sorted(unknown))}")
    return Step(operator, attributes, tuple(node.input), tuple(node.output), tuple(over))


def _attribute(entry: onnx.AttributeProto) -> Any:
    """None for one without a value."""
    if entry.type == onnx.AttributeProto.UNDEFINED:
        return None
    value = onnx.helper.get_attribute_value(entry)
    if isinstance(value, onnx.TensorProto):
        return _tensor(value)
    return value.decode() if isinstance(value, bytes) else value


def _tensor(entry: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(onnx.numpy_helper.to_array(entry).copy())


def _shape(entry: onnx.ValueInfoProto) -> list[int | str]:
    return [size.dim_param or size.dim_value for size in entry.type.tensor_type.shape.dim]


def _channels_last(value: Tensor) -> Tensor:
    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
