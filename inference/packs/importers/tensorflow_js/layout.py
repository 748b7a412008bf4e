"""The layouts that the tensors of a TensorFlow graph are in once they are ONNX values."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.packs.importers.builder import Builder


class Form(Enum):
    """How the ONNX value of a tensor lies in memory, for N pictures.

    The TensorFlow graph is read as one for a single picture, so a tensor has one fixed TensorFlow shape s.
    """

    CONSTANT = auto()  # s, the same for every picture
    LAST = auto()  # s[0] is 1 and N stands in its place: (N, *s[1:])
    FIRST = auto()  # as LAST, four axes, channels moved to the front: (N, s[3], s[1], s[2])
    STACKED = auto()  # one more axis in front: (N, *s); for tensors whose first axis is no batch


@dataclass(frozen=True)
class Tensor:
    """`name` is the ONNX value, `shape` the TensorFlow shape for one picture, `value` what a constant holds."""

    name: str
    shape: tuple[int, ...]
    form: Form
    value: NDArray[Any] | None = None

    @property
    def row(self) -> tuple[int, ...]:
        """The ONNX shape of one picture's part, in the LAST and STACKED forms."""
        return self.shape if self.form is Form.STACKED else self.shape[1:]


@dataclass
class GraphBuilder(Builder):
    """Knows the layouts of tensors; `input_name` is the graph's input, which knows N."""

    input_name: str = ""
    _known: dict[tuple[str, str], Tensor] = field(default_factory=dict)

    def known(self, value: NDArray[Any]) -> Tensor:
        return Tensor("", value.shape, Form.CONSTANT, value)

    def reshaped(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The same numbers in another TensorFlow shape; LAST when that begins with 1, else STACKED."""
        if tensor.value is not None:
            return self.known(tensor.value.reshape(shape))
        if tensor.form is Form.FIRST and tensor.shape[1:3] != (1, 1):
            tensor = self.last(tensor)
        form = Form.LAST if shape[:1] == (1,) else Form.STACKED
        target = Tensor(tensor.name, shape, form)
        if tensor.form is not Form.FIRST and tensor.row == target.row:
            return target
        name = self.add("Reshape", tensor.name, self.constant([-1, *target.row], np.int64))
        return Tensor(name, shape, form)

    def last(self, tensor: Tensor) -> Tensor:
        """The tensor in the LAST form; its first TensorFlow axis has to be 1."""
        if tensor.form is Form.LAST:
            return tensor
        if tensor.form is Form.FIRST:
            return self._remembered(tensor, "last", Form.LAST, (0, 2, 3, 1))
        return self.reshaped(self.stacked(tensor), tensor.shape)

    def first(self, tensor: Tensor) -> Tensor:
        """The tensor in the FIRST form; it has to have four TensorFlow axes, the first of them 1."""
        if tensor.form is Form.FIRST:
            return tensor
        return self._remembered(self.last(tensor), "first", Form.FIRST, (0, 3, 1, 2))

    def _remembered(self, tensor: Tensor, kind: str, form: Form, order: tuple[int, ...]) -> Tensor:
        key = (tensor.name, kind)
        if key not in self._known:
            self._known[key] = Tensor(self.add("Transpose", tensor.name, perm=order), tensor.shape, form)
        return self._known[key]

    def stacked(self, tensor: Tensor) -> Tensor:
        """The tensor in the STACKED form; a constant is repeated for every picture."""
        if tensor.form is Form.STACKED:
            return tensor
        if tensor.value is not None:
            size = self.add("Concat", self._batch(), self.constant(tensor.shape, np.int64), axis=0)
            return Tensor(self.add("Expand", self.constant(tensor.value), size), tensor.shape, Form.STACKED)
        tensor = self.last(tensor)
        name = self.add("Unsqueeze", tensor.name, self.constant([1], np.int64))
        return Tensor(name, tensor.shape, Form.STACKED)

    def ordered(self, tensor: Tensor, axes: Iterable[int]) -> tuple[Tensor, int]:
        """The tensor with its axes in TensorFlow's order, and what to add to these axes to find them in ONNX's.

        LAST unless one of the axes is the first.
        """
        if tensor.form is Form.STACKED or 0 in axes:
            return self.stacked(tensor), 1
        return self.last(tensor), 0

    def _batch(self) -> str:
        return self.add("Shape", self.input_name, start=0, end=1)
