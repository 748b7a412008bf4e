"""ONNX operators that rearrange, pick and count, on tensors of any shape.

Inputs come in the order of the ONNX operator, its attributes under their ONNX names (onnx.ai/onnx/operators). Those
annotated with numbers instead of tensors are known before the device is asked.
"""

from collections.abc import Sequence

import numpy as np
import onnx
import torch
from torch import Tensor

Numbers = Sequence[int]
TYPES: dict[int, torch.dtype] = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
    onnx.TensorProto.BOOL: torch.bool,
    onnx.TensorProto.DOUBLE: torch.float64,
}


def cast(x: Tensor, *, to: int) -> Tensor:
    return x.to(TYPES[to])


def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """On the host, whatever the device of `x`."""
    return torch.tensor(x.shape[start:end])


def reshape(x: Tensor, sizes: Numbers, *, allowzero: int = 0) -> Tensor:
    return x.reshape([x.shape[axis] if size == 0 and not allowzero else size for axis, size in enumerate(sizes)])


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    return x.reshape(x.shape[:axis].numel(), -1)


def transpose(x: Tensor, *, perm: Numbers) -> Tensor:
    return x.permute(*perm)


def squeeze(x: Tensor, places: Numbers | None = None, *, axes: Numbers | None = None) -> Tensor:
    chosen = places if axes is None else axes
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def unsqueeze(x: Tensor, places: Numbers = (), *, axes: Numbers | None = None) -> Tensor:
    """The axes count in the result."""
    chosen = places if axes is None else axes
    for axis in sorted(axis % (x.dim() + len(chosen)) for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def concat(*parts: Tensor, axis: int) -> Tensor:
    return torch.cat(parts, axis)


def split(
    x: Tensor, sizes: Numbers | None = None, *, axis: int = 0, num_outputs: int | None = None
) -> tuple[Tensor, ...]:
    pieces = -(-x.shape[axis] // (num_outputs or 1)) if sizes is None else list(sizes)
    return torch.split(x, pieces, axis)


def slice_(
    x: Tensor, starts: Numbers, ends: Numbers, axes: Numbers | None = None, steps: Numbers | None = None
) -> Tensor:
    pieces = [slice(None)] * x.dim()
    for axis, start, end, step in zip(
        axes or range(len(starts)), starts, ends, steps or [1] * len(starts), strict=True
    ):
        pieces[axis] = slice(start, end, step)
    return x[tuple(pieces)]


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    axis %= x.dim()
    places = torch.where(indices < 0, indices + x.shape[axis], indices)
    return x.index_select(axis, places.flatten()).reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    batch = [
        torch.arange(x.shape[axis], device=x.device).reshape([-1 if other == axis else 1 for other in range(places)])
        for places in [indices.dim() - 1]
        for axis in range(batch_dims)
    ]
    return x[(*batch, *indices.unbind(-1))]


def expand(x: Tensor, sizes: Numbers) -> Tensor:
    return torch.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(sizes)))


def range_(start: float, limit: float, delta: float) -> Tensor:
    """On the host."""
    return torch.arange(start, limit, delta)


def constant_of_shape(sizes: Numbers, *, value: Tensor | None = None) -> Tensor:
    """On the host."""
    return torch.zeros(*sizes) if value is None else value.reshape(()).expand(*sizes)


def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1) -> Tensor:
    return x.argmax(axis, bool(keepdims))


def top_k(x: Tensor, count: Numbers, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Tensor, Tensor]:
    """Of equal values ONNX wants the first; torch takes any of them."""
    values, places = torch.topk(x, count[0], axis, bool(largest), bool(sorted))
    return values, places


def reduce_mean(x: Tensor, places: Numbers | None = None, *, axes: Numbers | None = None, keepdims: int = 1) -> Tensor:
    chosen = places if axes is None else axes
    return x.mean(tuple(range(x.dim()) if chosen is None else chosen), keepdim=bool(keepdims))


def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    return x.softmax(axis)


def flat_softmax(x: Tensor, *, axis: int = 1) -> Tensor:
    """As it was before version 13: over all dimensions from `axis` on."""
    return x.flatten(axis % x.dim()).softmax(-1).reshape(x.shape)
